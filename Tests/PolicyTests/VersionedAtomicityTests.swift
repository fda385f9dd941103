import BPF
import MartletModel
import MartletPolicy
import PolicyTesting
import TableTesting
import Testing

/// What programs see of changes that concern much at a time: both ends of a packet are judged by the same policies.
@Suite struct VersionedAtomicityTests {
  /// Verdicts of both ends at once: the sender's egress and the receiver's ingress.
  @Test(arguments: 0..<16)
  func `At no store is a packet judged by a mixture, whatever a change concerns`(seed: Int) throws {
    var cluster = RandomPolicyCluster.filled(seed: 50_000 + seed)
    let log = WriteLog()
    let tables = VersionedTables(log)
    let table = PolicyTable(maps: tables.written, nodeName: RandomPolicyCluster.nodeName)
    _ = table.apply(ClusterState().changes(to: cluster.state))
    try tables.versions.publish()
    let evaluator = PolicyEvaluator(tables.seen)
    var now = ContinuousClock.now
    for step in 0..<30 {
      let change = cluster.edit()
      let questions = (0..<20).map { _ in
        (
          cluster.generator.pick(RandomPolicyCluster.points), cluster.generator.pick(RandomPolicyCluster.points),
          cluster.packet()
        )
      }
      // The sets of an endpoint are the data plane's to change.
      let asked = questions.map { (table.setID(of: $0.0), table.setID(of: $0.1), $0.2) }
      func answers() -> [[PolicyVerdict<UInt32>?]] {
        asked.map { question in
          [question.0, question.1].map { try? evaluator.verdict(of: $0, on: question.2) }
        }
      }
      let before = answers()
      var seen = Array(repeating: Set<[PolicyVerdict<UInt32>?]>(), count: asked.count)
      log.reader = { for (index, answer) in answers().enumerated() { seen[index].insert(answer) } }
      _ = table.apply([change])
      try tables.versions.publish()
      log.reader = {}
      let after = answers()
      for index in asked.indices {
        let isAllowed = seen[index].isSubset(of: [before[index], after[index]])
        try #require(
          isAllowed,
          "seed \(seed), step \(step), \(change): \(questions[index]) \(seen[index]) \(before[index]) \(after[index])")
      }
      now += .milliseconds(cluster.generator.below(900))
      try tables.versions.settle()
      _ = table.reclaim(now: now)
      try tables.versions.publish()
    }
  }

  /// What is written through versions is what is written without.
  @Test(arguments: 0..<8) func `Versions come to the same as one`(seed: Int) throws {
    var cluster = RandomPolicyCluster.filled(seed: 60_000 + seed)
    let tables = VersionedTables()
    let table = PolicyTable(maps: tables.written, nodeName: RandomPolicyCluster.nodeName)
    _ = table.apply(ClusterState().changes(to: cluster.state))
    try tables.versions.publish()
    for _ in 0..<40 {
      _ = table.apply([cluster.edit()])
      try tables.versions.publish()
      let oracle = PolicyOracle(cluster.state)
      for point in RandomPolicyCluster.points where table.setID(of: point) != 0 {
        let packet = cluster.packet()
        let verdict = try PolicyEvaluator(tables.seen).verdict(of: table.setID(of: point), on: packet)
        #expect(verdict.decision == oracle.verdict(at: point, on: packet).decision)
      }
    }
  }
}
