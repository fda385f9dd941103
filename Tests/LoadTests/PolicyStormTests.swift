import BPF
import BPFTesting
import CBPF
import MartletDataPlane
import MartletModel
import MartletNetworking
import MartletPolicy
import PolicyTesting
import Synchronization
import Testing

/// What packets meet while policies, labels, tiers, sets and host endpoints change as fast as they can be written: each
/// is judged by the objects as some number of edits has left them, at all places that it is judged at.
@Suite(.requiresBPF, .serialized) struct PolicyStormTests {
  static let edits = 600

  /// How many edits have begun, and how many have taken effect.
  private final class Progress: Sendable {
    let begun = Atomic<Int>(0)
    let done = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)
  }

  /// A packet that was judged while between `edits.lowerBound` and `edits.upperBound` edits had taken effect.
  private struct Observation: Sendable {
    let question: Int
    let edits: ClosedRange<Int>
    let decision: PolicyDecision
  }

  @Test(.timeLimit(.minutes(2)), arguments: 1...3)
  func `Every packet is judged as after some of the edits`(seed: Int) throws {
    let node = try StormNode()
    var cluster = RandomPolicyCluster.filled(seed: 70_000 + seed, objects: 40, residents: node.residents)
    let questions = (0..<24).map { _ in node.question(&cluster) }
    var (states, changes) = ([cluster.state], [StateChange]())
    for _ in 0..<Self.edits {
      changes.append(cluster.edit())
      states.append(cluster.state)
    }
    let progress = Progress()
    let (initial, all) = (states[0], changes)
    let observations = try node.namespace.run {
      try Self.observe(from: initial, all, node, progress) { try Self.ask(questions, node, progress, $0) }
    }

    var known: [[PolicyDecision]] = []
    for state in states { known.append(questions.map { StormOracle(state).decision(on: $0) }) }
    var decisions: [PolicyDecision: Int] = [:]
    var wrong: [String] = []
    for observation in observations {
      decisions[observation.decision, default: 0] += 1
      let possible = observation.edits.map { known[$0][observation.question] }
      guard !possible.contains(observation.decision), wrong.count < 5 else { continue }
      wrong.append(
        "\(questions[observation.question]): \(observation.decision) after \(observation.edits) edits, "
          + "which say \(possible)\n"
          + observation.edits.dropFirst().map { "  edit \($0): \(changes[$0 - 1])" }.joined(separator: "\n"))
    }
    #expect(wrong == [], "seed \(seed)")
    let during = observations.count { $0.edits.count > 1 }
    print("\(observations.count) packets, \(during) of them during an edit: \(decisions)")
    #expect(during > 500)
    #expect(decisions[.allow] ?? 0 > 100 && decisions[.deny] ?? 0 > 100)
  }

  /// Makes the changes, while two threads ask.
  private static func observe(
    from initial: ClusterState, _ changes: [StateChange], _ node: StormNode, _ progress: Progress,
    _ ask: @escaping @Sendable (Int) throws -> [Observation]
  ) throws -> [Observation] {
    let dataPlane = try node.makeDataPlane()
    var problems = dataPlane.start(with: initial)
    let readers = try (0..<2).map { reader in try BackgroundThread { try ask(reader) } }
    for (index, change) in changes.enumerated() {
      progress.begun.store(index + 1, ordering: .sequentiallyConsistent)
      problems += dataPlane.apply([change])
      progress.done.store(index + 1, ordering: .sequentiallyConsistent)
      if index.isMultiple(of: 16) { problems += dataPlane.reclaim() }
    }
    progress.isOver.store(true, ordering: .sequentiallyConsistent)
    // Some policies name a tier that is not there, some host endpoints are for the same interfaces, and some pods have
    // the same address, on purpose.
    let expected = ["tier", "host endpoint", "has its address"]
    #expect(problems.filter { problem in !expected.contains { "\(problem)".contains($0) } } == [])
    return try readers.flatMap { try $0.join() }
  }

  /// Every other packet begins a flow; the others belong to flows that are judged again.
  private static func ask(
    _ questions: [StormQuestion], _ node: StormNode, _ progress: Progress, _ reader: Int
  ) throws -> [Observation] {
    try node.namespace.run {
      let senders = try questions.map { try StormSender($0, node) }
      var observations: [Observation] = []
      var count = 0
      while !progress.isOver.load(ordering: .sequentiallyConsistent) {
        let question = count % questions.count
        let isNew = count / questions.count % 2 == 0
        let port = UInt16(20_000 * (reader + 1)) + (isNew ? UInt16(1 + count % 19_000) : 0)
        let before = progress.done.load(ordering: .sequentiallyConsistent)
        let decision = try senders[question].send(from: port)
        let after = progress.begun.load(ordering: .sequentiallyConsistent)
        observations.append(Observation(question: question, edits: before...after, decision: decision))
        count += 1
      }
      return observations
    }
  }
}
