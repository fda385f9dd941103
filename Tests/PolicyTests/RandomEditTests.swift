import BPF
import MartletModel
import MartletNetworking
import MartletPolicy
import PolicyTesting
import Testing

/// Random edits, one after the other.
@Suite struct RandomEditTests {
  @Test(arguments: 0..<40)
  func `After every edit the tables say what the objects say`(seed: Int) throws {
    var cluster = RandomPolicyCluster(seed: 10_000 + seed)
    let maps = PolicyMaps.inMemory(.small)
    let table = PolicyTable(maps: maps, nodeName: RandomPolicyCluster.nodeName)
    var now = ContinuousClock.now
    for step in 0..<150 {
      let change = cluster.edit()
      let outcome = table.apply([change])
      let hasProblems = outcome.problems.contains { !$0.isExpected }
      #expect(!hasProblems)
      now += .milliseconds(cluster.generator.below(900))
      #expect(table.reclaim(now: now).problems.isEmpty)
      let oracle = PolicyOracle(cluster.state)
      for _ in 0..<60 {
        let (point, packet) = (cluster.generator.pick(RandomPolicyCluster.points), cluster.packet())
        let mismatch = try table.mismatch(at: point, on: packet, PolicyEvaluator(maps), oracle)
        try #require(mismatch == nil, "seed \(seed), step \(step), after \(change): \(mismatch!)")
      }
    }
  }

  @Test(arguments: 0..<20)
  func `Whoever is not told that verdicts change finds them as they were`(seed: Int) throws {
    var cluster = RandomPolicyCluster.filled(seed: 20_000 + seed)
    let maps = PolicyMaps.inMemory(.small)
    let table = PolicyTable(maps: maps, nodeName: RandomPolicyCluster.nodeName)
    _ = table.apply(ClusterState().changes(to: cluster.state))
    let questions = (0..<300).map { _ in (cluster.generator.pick(RandomPolicyCluster.points), cluster.packet()) }
    let ask = { try questions.map { try PolicyEvaluator(maps).verdict(of: table.setID(of: $0.0), on: $0.1) } }
    var told = 0
    for step in 0..<60 {
      let before = (decisions: try ask().map(\.decision), sets: questions.map { table.setID(of: $0.0) })
      let outcome = table.apply([cluster.edit()])
      if outcome.changesVerdicts { told += 1 }
      let after = try ask().map(\.decision)
      #expect(outcome.changesVerdicts || before.decisions == after, "seed \(seed), step \(step)")
      for (question, set) in zip(questions, before.sets) where table.setID(of: question.0) != set {
        #expect(outcome.changedPoints.contains(question.0))
      }
    }
    #expect(told < 60)
  }

  @Test(arguments: 0..<20)
  func `When everything is removed nothing is left and all room is free`(seed: Int) throws {
    var cluster = RandomPolicyCluster(seed: 30_000 + seed)
    let maps = PolicyMaps.inMemory(.small)
    let table = PolicyTable(maps: maps, nodeName: RandomPolicyCluster.nodeName)
    let empty = table.usage
    var now = ContinuousClock.now
    for _ in 0..<80 {
      _ = table.apply([cluster.edit()])
      now += .milliseconds(400)
      _ = table.reclaim(now: now)
    }
    _ = table.apply(cluster.state.changes(to: ClusterState()))
    for _ in 0..<6 {
      now += PolicyTable.gracePeriod
      _ = table.reclaim(now: now)
    }
    #expect(!table.needsReclaim)
    #expect(table.usage == empty)
    #expect(table.pointReadings.isEmpty)
    var left: [String] = []
    try maps.identities.forEach { (_, _) throws(BPFError) in left.append("identity") }
    try maps.tuples.forEach { (_, _) throws(BPFError) in left.append("tuple") }
    try maps.ruleNames.forEach { (_, _) throws(BPFError) in left.append("rule name") }
    try maps.prefixes.forEach { (_, number) throws(BPFError) in if number != 0 { left.append("prefix") } }
    #expect(left.isEmpty)
    for index in stride(from: 0, to: PolicyMaps.portCount, by: 53) { #expect(maps.ports.read(index) == 0) }
  }

  /// Were nearly all answers the same, agreement would say little.
  @Test func `Random states give every kind of answer`() {
    var counts: [String: Int] = [:]
    for seed in 0..<200 {
      var cluster = RandomPolicyCluster.filled(seed: seed, objects: 10 + seed % 40)
      let oracle = PolicyOracle(cluster.state)
      for _ in 0..<100 {
        let verdict = oracle.verdict(at: cluster.generator.pick(RandomPolicyCluster.points), on: cluster.packet())
        let owner =
          switch verdict.rule?.owner {
          case nil: "nothing"
          case .policy: "a policy"
          case .profile: "a profile"
          case .tierEnd: "the end of a tier"
          }
        counts["\(verdict.decision) by \(owner)", default: 0] += 1
        if !verdict.logged.isEmpty { counts["logged", default: 0] += 1 }
      }
    }
    let kinds = [
      "allow by a policy", "deny by a policy", "reject by a policy", "deny by the end of a tier",
      "reject by the end of a tier", "allow by a profile", "deny by a profile", "deny by nothing", "next by nothing",
      "logged",
    ]
    // Of 20,000.
    for kind in kinds { #expect(counts[kind] ?? 0 >= 40, "\(counts)") }
  }
}
