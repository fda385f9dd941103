import BPF
import MartletModel
import MartletNetworking
import MartletPolicy
import PolicyTesting
import TableTesting
import Testing

/// What programs see while the tables change under them.
@Suite struct AtomicityTests {
  /// A storm of edits, and a look at the tables after every single store: each verdict is that of the edits so far, or
  /// of those and the one under way.
  @Test(arguments: 0..<24)
  func `At no store does anybody see what no prefix of the edits says`(seed: Int) throws {
    var cluster = RandomPolicyCluster.filled(seed: 40_000 + seed)
    let (maps, log) = (PolicyMaps.inMemory(.small), WriteLog())
    let table = PolicyTable(maps: maps.watched(by: log), nodeName: RandomPolicyCluster.nodeName)
    _ = table.apply(ClusterState().changes(to: cluster.state))
    let evaluator = PolicyEvaluator(maps)
    var now = ContinuousClock.now
    for step in 0..<40 {
      let change = cluster.edit()
      let questions = (0..<25).map { _ in (cluster.generator.pick(RandomPolicyCluster.points), cluster.packet()) }
      // A reader keeps the set that its endpoint had: that is the data plane's to change.
      let asked = questions.map { (set: table.setID(of: $0.0), packet: $0.1) }
      let before = try asked.map { try evaluator.verdict(of: $0.set, on: $0.packet) }
      var seen = Array(repeating: Set<PolicyVerdict<UInt32>>(), count: asked.count)
      log.reader = {
        for (index, question) in asked.enumerated() {
          guard let verdict = try? evaluator.verdict(of: question.set, on: question.packet) else { continue }
          seen[index].insert(verdict)
        }
      }
      _ = table.apply([change])
      log.reader = {}
      let after = try asked.map { try evaluator.verdict(of: $0.set, on: $0.packet) }
      for index in asked.indices {
        let isAllowed = seen[index].isSubset(of: [before[index], after[index]])
        try #require(
          isAllowed,
          "seed \(seed), step \(step), \(change): \(questions[index]) \(seen[index]) \(before[index]) \(after[index])")
      }
      now += .milliseconds(cluster.generator.below(900))
      _ = table.reclaim(now: now)
    }
    #expect(log.updates + log.entries > 1_000)
  }
}
