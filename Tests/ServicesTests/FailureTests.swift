import BPF
import CBPF
import Glibc
import MartletModel
import MartletNetworking
import Testing

@testable import MartletServices

/// What happens when there is no room, or the kernel says no.
@Suite struct FailureTests {
  private func endpoints(_ range: ClosedRange<Int>) -> EndpointSlice {
    .web(range.map { .ready(IPAddress("10.0.0.\($0)")!) })
  }

  private func grace(_ bench: Bench) -> ServiceTable.Outcome {
    let now = ContinuousClock.now
    _ = bench.table.reclaim(now: now)
    return bench.table.reclaim(now: now + ServiceTable.gracePeriod)
  }

  @Test func `A service without room keeps its version before, and others go on`() throws {
    let bench = try Bench(MemoryTables(backends: 10))
    bench.apply(.set(.web()), .set(endpoints(1...3)))
    let outcome = bench.apply(
      .set(endpoints(1...8)), .set(.web("other") { $0.clusterIPs = ["10.96.0.11"] }),
      .set(.web([.ready("10.0.0.9")], name: "other-1", service: "other")))
    #expect(
      outcome.problems.map(\.description) == [
        "default/web:http/TCP: map backends has no 8 entries in a row (6 are free): the version before stays; "
          + "enlarge the map"
      ])
    #expect(try bench.ask("10.96.0.10").count == 3)
    #expect(try bench.ask("10.96.0.11") == ["10.0.0.9:8080"])
  }

  @Test func `It comes into force when others have made room and readers have gone`() throws {
    let bench = try Bench(MemoryTables(backends: 10))
    bench.apply(
      .set(.web("other") { $0.clusterIPs = ["10.96.0.11"] }),
      .set(.web((1...8).map { .ready(IPAddress("10.0.1.\($0)")!) }, name: "other-1", service: "other")))
    #expect(bench.apply(.set(.web()), .set(endpoints(1...6))).problems.count == 1)
    #expect(try bench.ask("10.96.0.10") == ["dropped"])
    bench.apply(.remove(.web("other")))
    #expect(grace(bench).problems.isEmpty)
    #expect(try bench.ask("10.96.0.10").count == 6)
  }

  @Test func `A Maglev table without room leaves nothing behind`() throws {
    let bench = try Bench(MemoryTables(backends: 100, maglev: 1500))
    let maglev: (inout Service) -> Void = { $0.loadBalancing = .maglev }
    bench.apply(.set(.web(edit: maglev)), .set(endpoints(1...3)))
    let outcome = bench.apply(.set(endpoints(1...4)))
    #expect(outcome.problems.map(\.reason) == [.noRoom(map: "maglev", needed: 1021, free: 479)])
    #expect(bench.table.slices.freeBackends == 97)
    #expect(try bench.ask("10.96.0.10").count == 3)
  }

  @Test(arguments: 1...6)
  func `A frontend that the kernel does not take keeps its version before, and is tried again`(failing: Int) throws {
    let bench = try Bench()
    let service = Service.web {
      $0.externalIPs = ["203.0.113.1", "203.0.113.2"]
      $0.clusterIPs = ["10.96.0.10"]
    }
    bench.apply(.set(service), .set(endpoints(1...3)))
    bench.tables.frontends.inject(MemoryFault(in: .update, at: failing, times: 3, errno: ENOMEM))
    let outcome = bench.apply(.set(endpoints(4...5)))
    let addresses: [IPAddress] = ["10.96.0.10", "203.0.113.1", "203.0.113.2"]
    for address in addresses {
      let answer = try bench.ask(address)
      #expect(answer.count == (answer.first == "10.0.0.1:8080" ? 3 : 2))
    }
    let old = try addresses.filter { try bench.ask($0).count == 3 }
    #expect(outcome.problems.count == old.count)
    bench.tables.frontends.removeFaults()
    #expect(bench.table.reclaim(now: .now).problems.isEmpty)
    for address in addresses { #expect(try bench.ask(address) == ["10.0.0.4:8080", "10.0.0.5:8080"]) }
    bench.apply(.remove(service))
    _ = grace(bench)
    #expect(bench.table.slices.freeBackends == bench.tables.backends.count)
  }

  /// Random edits with random faults: nothing is lost, nothing leaks, and in the end all is well.
  @Test(arguments: 1...20)
  func `Whatever fails, the tables are right once it fails no more`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let table = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    var now = ContinuousClock.now
    for _ in 0..<80 {
      let operation = cluster.generator.pick([MemoryFault.Operation.update, .update, .remove])
      let fault = MemoryFault(
        in: operation, at: Int.random(in: 1...6, using: &cluster.generator),
        times: Int.random(in: 1...3, using: &cluster.generator), errno: EBUSY)
      switch Int.random(in: 0..<3, using: &cluster.generator) {
      case 0: tables.frontends.inject(fault)
      case 1: tables.sourceRanges.inject(fault)
      default: tables.addresses.inject(fault)
      }
      _ = table.apply(cluster.edit())
      now += .milliseconds(400)
      _ = table.reclaim(now: now)
    }
    tables.frontends.removeFaults()
    tables.sourceRanges.removeFaults()
    tables.addresses.removeFaults()
    #expect(table.reclaim(now: now).problems.isEmpty)
    let oracle = Oracle(state: cluster.state, configuration: cluster.configuration)
    for key in RandomCluster.keys {
      let client = cluster.randomClient(for: key)
      let answer = try tables.maps.answer(to: client, at: key)
      try #require(answer == oracle.answer(to: client, at: key), "seed \(seed): \(client) to \(key)")
    }
    _ = table.apply(cluster.state.changes(to: ClusterState()))
    _ = table.reclaim(now: now)
    _ = table.reclaim(now: now + ServiceTable.gracePeriod)
    #expect(table.slices.freeBackends == tables.backends.count)
    #expect(!table.needsReclaim)
    var left = 0
    try tables.sourceRanges.forEach { (_: source_range_key, _: UInt32) in left += 1 }
    #expect(left == 0)
  }

  @Test func `A full map of frontends names the service that found no place`() throws {
    let bench = try Bench(MemoryTables(frontends: 1))
    let single: (inout Service) -> Void = { $0.clusterIPs = ["10.96.0.10"] }
    bench.apply(.set(.web("a", edit: single)))
    let outcome = bench.apply(.set(.web("b") { $0.clusterIPs = ["10.96.0.11"] }))
    #expect(outcome.problems.map(\.subject) == ["default/b:http/TCP"])
    bench.apply(.remove(.web("a")))
    #expect(try bench.ask("10.96.0.11") == ["refused"])
  }

  @Test func `A service may change its port in a full map`() throws {
    let bench = try Bench(MemoryTables(frontends: 1))
    bench.apply(.set(.web { $0.clusterIPs = ["10.96.0.10"] }))
    let outcome = bench.apply(
      .set(
        .web {
          $0.clusterIPs = ["10.96.0.10"]
          $0.ports[0].port = 81
        }))
    #expect(outcome.problems.isEmpty)
    #expect(bench.tables.frontends.capacity == 1)
    #expect(try bench.tables.frontends.get(FrontendKey(address: "10.96.0.10", port: 81, protocol: .tcp).key) != nil)
  }

  @Test func `A table size that is no prime is refused with a remedy`() {
    var configuration = Configuration.here
    configuration.maglevTableSize = 1000
    #expect(throws: ServiceTable.ConfigurationError.tableSizeNotPrime(1000)) {
      try ServiceTable(maps: MemoryTables().maps, configuration: configuration)
    }
  }
}
