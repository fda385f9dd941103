import BPF
import CBPF
import MartletModel
import MartletNetworking
import Testing

@testable import MartletServices

/// Random states and edits against ``Oracle``. Each argument is a seed; a failure names it and the step.
@Suite struct RandomStateTests {
  static let seeds = 1...100
  /// With `seeds`, 12,000 states.
  static let editsPerSeed = 120

  @Test(arguments: seeds)
  func `After every edit the tables answer as the oracle does`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let table = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    var now = ContinuousClock.now
    for step in 0..<Self.editsPerSeed {
      let outcome = table.apply(cluster.edit())
      #expect(outcome.problems.allSatisfy { $0.isExpectedConflict }, "seed \(seed), step \(step): \(outcome.problems)")
      now += .milliseconds(Int.random(in: 0..<1500, using: &cluster.generator))
      #expect(table.reclaim(now: now).problems.isEmpty)
      let oracle = Oracle(state: cluster.state, configuration: cluster.configuration)
      let keys = step % 20 == 19 ? RandomCluster.keys : (0..<20).map { _ in cluster.randomKey() }
      for key in keys {
        let client = cluster.randomClient(for: key)
        let answer = try tables.maps.answer(to: client, at: key)
        let expected = oracle.answer(to: client, at: key)
        try #require(answer == expected, "seed \(seed), step \(step): \(client) to \(key)")
      }
    }
  }

  /// Were nearly all answers the same, agreement would say little.
  @Test func `Random states ask for every kind of answer`() {
    var counts: [String: Int] = [:]
    for seed in 1...20 {
      var cluster = RandomCluster(seed: seed)
      for _ in 0..<40 { _ = cluster.edit() }
      let oracle = Oracle(state: cluster.state, configuration: cluster.configuration)
      for _ in 0..<200 {
        let key = cluster.randomKey()
        let kind =
          switch oracle.answer(to: cluster.randomClient(for: key), at: key) {
          case .notService: "not a service"
          case .refused: "refused"
          case .dropped: "dropped"
          case .balanced(let backends, let affinity, _):
            "\(backends.count > 1 ? "several" : "one"), \(affinity > 0 ? "affine" : "free")"
          }
        counts[kind, default: 0] += 1
      }
    }
    #expect(counts.count == 7)
    // Of 4,000.
    #expect(counts.values.allSatisfy { $0 >= 30 }, "\(counts)")
  }

  @Test(arguments: 101...130)
  func `After many edits the tables answer as tables built at once`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let table = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    var now = ContinuousClock.now
    for _ in 0..<100 {
      _ = table.apply(cluster.edit())
      now += .milliseconds(400)
      _ = table.reclaim(now: now)
    }
    let fresh = MemoryTables()
    let built = try ServiceTable(maps: fresh.maps, configuration: cluster.configuration)
    _ = built.apply(ClusterState().changes(to: cluster.state))
    for key in RandomCluster.keys {
      let client = cluster.randomClient(for: key)
      let answers = try (tables.maps.answer(to: client, at: key), fresh.maps.answer(to: client, at: key))
      #expect(answers.0 == answers.1)
      // Not only the answers: the entries too, but for where the slices stand and what the ids are.
      let entries = try (tables.frontends.get(key.key), fresh.frontends.get(key.key))
      #expect(entries.0?.flags == entries.1?.flags)
      #expect(entries.0?.cluster.count == entries.1?.cluster.count)
      #expect(entries.0?.local.count == entries.1?.local.count)
    }
    let (edited, atOnce) = try (sizes(tables), sizes(fresh))
    #expect(edited == atOnce)
  }

  @Test(arguments: 131...160)
  func `When everything is removed nothing is left and all room is free`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let table = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    for _ in 0..<60 { _ = table.apply(cluster.edit()) }
    _ = table.apply(cluster.state.changes(to: ClusterState()))
    #expect(table.needsReclaim)
    let now = ContinuousClock.now
    _ = table.reclaim(now: now)
    _ = table.reclaim(now: now + ServiceTable.gracePeriod)
    #expect(!table.needsReclaim)
    let left = try sizes(tables)
    #expect(left == [0, 0, 0])
    #expect(table.slices.freeBackends == tables.backends.count)
    #expect(table.slots.isEmpty && table.entries.isEmpty && table.ports.isEmpty)
  }

  /// Entries in the frontends, addresses and source ranges.
  private func sizes(_ tables: MemoryTables) throws -> [Int] {
    try [count(tables.frontends), count(tables.addresses), count(tables.sourceRanges)]
  }

  private func count<Key, Value>(_ map: MemoryMap<Key, Value>) throws -> Int {
    var count = 0
    try map.forEach { (_: Key, _: Value) throws(BPFError) in count += 1 }
    return count
  }
}

extension ServiceProblem {
  /// Services of a random cluster claim each other's addresses on purpose.
  var isExpectedConflict: Bool {
    if case .claimed = reason { return true }
    return false
  }
}
