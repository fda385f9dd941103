import BPF
import CBPF
import MartletModel
import MartletNetworking
import TableTesting
import Testing

@testable import MartletServices

/// What programs see while the tables change under them.
@Suite struct AtomicityTests {
  /// After each write of an update every frontend answers as before the update or as after it.
  ///
  /// Source ranges have their own test: while they change, old and new ones are both admitted.
  @Test(arguments: 1...12)
  func `At no write of an update does anybody see a mixture`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let log = WriteLog()
    let table = try ServiceTable(maps: tables.maps(watchedBy: log), configuration: cluster.configuration)
    var now = ContinuousClock.now
    for step in 0..<30 {
      let before = try answers(tables)
      var seen: [Question: Set<Answer>] = [:]
      var readFailed = false
      log.reader = {
        guard let current = try? answers(tables) else {
          readFailed = true
          return
        }
        for (question, answer) in current { seen[question, default: []].insert(answer) }
      }
      table.update(cluster.edit())
      log.reader = {}
      #expect(!readFailed)
      let after = try answers(tables)
      for (question, answers) in seen {
        let allowed = Set([before[question], after[question]].compactMap(\.self))
        try #require(answers.isSubset(of: allowed), "seed \(seed), step \(step): \(question)")
      }
      now += .milliseconds(700)
      _ = table.reclaim(now: now)
    }
  }

  /// A program that read a frontend before an update may use it for as long as it runs.
  @Test(arguments: 21...32)
  func `What a program has read stays good until its grace period ends`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let table = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    var now = ContinuousClock.now
    var held: [(frontend: frontend, answers: [Answer], until: ContinuousClock.Instant)] = []
    for step in 0..<60 {
      try tables.frontends.forEach { (_: frontend_key, value: frontend) in
        held.append((value, Self.clients.map { tables.maps.resolve(value, for: $0) }, now + ServiceTable.gracePeriod))
      }
      table.update(cluster.edit())
      now += .milliseconds(300)
      // A program that began before now still runs; one whose grace period is over does not.
      _ = table.reclaim(now: now)
      held.removeAll { $0.until <= now }
      for reader in held {
        let answers = Self.clients.map { tables.maps.resolve(reader.frontend, for: $0) }
        try #require(answers == reader.answers, "seed \(seed), step \(step)")
      }
    }
  }

  @Test func `Source ranges are there before a frontend asks for them, and until it has ceased to`() throws {
    let tables = MemoryTables()
    let log = WriteLog()
    let table = try ServiceTable(maps: tables.maps(watchedBy: log), configuration: .here)
    let key = FrontendKey(address: "203.0.113.20", port: 80, protocol: .tcp)
    func service(_ ranges: [IPPrefix]) -> [StateChange] {
      .set(
        .web {
          $0.kind = .loadBalancer
          $0.loadBalancerIngress = [.init("203.0.113.20")]
          $0.sourceRanges = ranges
        })
    }
    table.update(service([]) + .set(.web([.ready("10.0.0.1")])))
    var dropped = 0
    log.reader = { if (try? tables.maps.answer(to: Bench.outside, at: key)) == .dropped { dropped += 1 } }
    for ranges in [["198.51.100.0/24"], ["0.0.0.0/0"], ["198.51.100.0/25", "198.18.0.0/15"], []] as [[IPPrefix]] {
      log.clear()
      table.update(service(ranges))
      #expect(log.updates > 0)
    }
    #expect(dropped == 0)
    log.reader = {}
    var left = 0
    try tables.sourceRanges.forEach { (_: source_range_key, _: UInt32) in left += 1 }
    #expect(left == 0)
  }

  // MARK: - Questions

  private struct Question: Hashable {
    let key: FrontendKey
    let client: Client
  }

  private static let clients = [Bench.outside, Bench.pod]

  private func answers(_ tables: MemoryTables) throws -> [Question: Answer] {
    var answers: [Question: Answer] = [:]
    for key in RandomCluster.keys where key.port != 30_081 {
      for client in Self.clients {
        answers[Question(key: key, client: client)] =
          try tables.frontends.get(key.key).map { tables.maps.resolve($0, for: client) }
          ?? tables.maps.answer(to: client, at: key)
      }
    }
    return answers
  }
}
