import BPF
import CBPF
import MartletModel
import MartletNetworking
import TableTesting
import Testing

@testable import MartletServices

/// An agent that takes over the tables of its predecessor.
@Suite struct AdoptionTests {
  private func ids(_ table: ServiceTable) -> [ServicePortName: UInt32] {
    table.ports.values.reduce(into: [:]) { $0[$1.plan.name] = $1.id }
  }

  @Test(arguments: 1...20)
  func `Ports keep their ids through a take-over`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let old = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    for _ in 0..<60 { old.update(cluster.edit()) }
    let new = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    try new.adopt()
    new.update(ClusterState().changes(to: cluster.state))
    let outcome = new.finishAdoption()
    #expect(outcome.problems.allSatisfy { $0.isExpectedConflict })
    // A port whose every frontend is another's has left no trace to know its id by.
    let visible = Set(new.slots.values.compactMap { $0.winner?.id })
    for (port, id) in ids(new) where visible.contains(id) { #expect(ids(old)[port] == id, "seed \(seed): \(port)") }
  }

  @Test func `To take over tables that are right writes nothing`() throws {
    let tables = MemoryTables()
    let old = try Bench(tables)
    let state = (1...20).flatMap { index -> [StateChange] in
      let service = Service.web("service-\(index)") {
        $0.kind = .loadBalancer
        $0.clusterIPs = [IPAddress("10.96.0.\(index)")!, IPAddress("fd96::\(index)")!]
        $0.ports = [.init(name: "http", port: 80, nodePort: 30_000 + UInt16(index)), .init(name: "dns", port: 53)]
        $0.loadBalancerIngress = [.init(IPAddress("203.0.113.\(index)")!)]
        $0.sourceRanges = index % 2 == 0 ? ["198.51.100.0/24"] : []
        $0.externalTrafficPolicy = index % 3 == 0 ? .local : .cluster
        $0.internalTrafficPolicy = index % 5 == 0 ? .local : .cluster
        $0.loadBalancing = index % 4 == 0 ? .maglev : .random
      }
      let slice = EndpointSlice.web(
        (1...3).map { .ready(IPAddress("10.0.\(index).\($0)")!, on: $0 == 2 ? "here" : "there") },
        name: "slice-\(index)", service: service.name.name)
      return .set(service) + .set(slice)
    }
    // One by one, so that slices lie differently from how they would if all came at once.
    for change in state.reversed() { old.apply([change]) }
    let log = WriteLog()
    let new = try ServiceTable(maps: tables.maps(watchedBy: log), configuration: .here)
    try new.adopt()
    new.update(.set(.here), state)
    #expect(new.finishAdoption().problems.isEmpty)
    #expect(log.updates == 0 && log.entries == 0)
    #expect(ids(new) == ids(old.table))
  }

  @Test(arguments: 21...40)
  func `What changed while nobody looked is caught up with, without a wrong answer in between`(seed: Int) throws {
    var cluster = RandomCluster(seed: seed)
    let tables = MemoryTables()
    let old = try ServiceTable(maps: tables.maps, configuration: cluster.configuration)
    for _ in 0..<60 { old.update(cluster.edit()) }
    let before = try held(tables)
    for _ in 0..<5 { _ = cluster.edit() }

    let log = WriteLog()
    let new = try ServiceTable(maps: tables.maps(watchedBy: log), configuration: cluster.configuration)
    try new.adopt()
    new.update(ClusterState().changes(to: cluster.state))
    #expect(log.updates == 0)
    // Slices that frontends refer to are not written over, not even before the first of them is replaced.
    log.reader = {
      for (value, answer) in before {
        if tables.maps.resolve(value, for: Bench.outside) != answer { Issue.record("seed \(seed): slice written over") }
      }
    }
    #expect(new.finishAdoption().problems.allSatisfy { $0.isExpectedConflict })
    log.reader = {}

    let oracle = Oracle(state: cluster.state, configuration: cluster.configuration)
    for key in RandomCluster.keys {
      let client = cluster.randomClient(for: key)
      let answer = try tables.maps.answer(to: client, at: key)
      #expect(answer == oracle.answer(to: client, at: key), "seed \(seed): \(client) to \(key)")
    }
    // The books are right as well: edits go on, and everything can be given back.
    for _ in 0..<20 { new.update(cluster.edit()) }
    new.update(cluster.state.changes(to: ClusterState()))
    let now = ContinuousClock.now
    _ = new.reclaim(now: now)
    _ = new.reclaim(now: now + ServiceTable.gracePeriod)
    #expect(new.slices.freeBackends == tables.backends.count)
    #expect(!new.needsReclaim)
  }

  private func held(_ tables: MemoryTables) throws -> [(frontend, Answer)] {
    var held: [(frontend, Answer)] = []
    try tables.frontends.forEach { (_: frontend_key, value: frontend) in
      held.append((value, tables.maps.resolve(value, for: Bench.outside)))
    }
    return held
  }

  @Test func `Until the state is complete the tables stay as they are`() throws {
    let tables = MemoryTables()
    let old = try Bench(tables)
    old.apply(.set(.web()), .set(.web([.ready("10.0.0.1")])))
    let new = try ServiceTable(maps: tables.maps, configuration: .here)
    try new.adopt()
    new.update(.set(.here) + .set(.web()))
    #expect(try old.ask("10.96.0.10") == ["10.0.0.1:8080"])
    new.update(.set(.web([.ready("10.0.0.2")])))
    #expect(try old.ask("10.96.0.10") == ["10.0.0.1:8080"])
    _ = new.finishAdoption()
    #expect(try old.ask("10.96.0.10") == ["10.0.0.2:8080"])
  }

  @Test func `What nobody asks for any more is removed, with all that belongs to it`() throws {
    let tables = MemoryTables()
    let old = try Bench(tables)
    old.apply(
      .set(
        .web {
          $0.kind = .loadBalancer
          $0.loadBalancerIngress = [.init("203.0.113.20")]
          $0.sourceRanges = ["198.51.100.0/24"]
          $0.sessionAffinity = .clientIP(timeout: 10)
        }), .set(.web([.ready("10.0.0.1")])))
    let id = try #require(old.table.id(of: .init(service: Service.web().name, port: "http", protocol: .tcp)))
    try tables.affinity.set(affinity_key(client: ip_address("198.51.100.7"), service: id, reserved: 0), affinity())
    let new = try ServiceTable(maps: tables.maps, configuration: Configuration(nodeName: "here"))
    try new.adopt()
    _ = new.finishAdoption()
    #expect(try old.ask("10.96.0.10") == ["not a service"])
    #expect(try old.ask("203.0.113.20") == ["not a service"])
    let now = ContinuousClock.now
    _ = new.reclaim(now: now)
    _ = new.reclaim(now: now + ServiceTable.gracePeriod)
    var left = 0
    try tables.sourceRanges.forEach { (_: source_range_key, _: UInt32) in left += 1 }
    try tables.affinity.forEach { (_: affinity_key, _: affinity) in left += 1 }
    try tables.addresses.forEach { (_: ip_address, _: address_entry) in left += 1 }
    #expect(left == 0)
  }

  // MARK: - What ended meanwhile

  /// A service of TCP and UDP in both families, on two other nodes and here.
  private static let dns = Service.web { $0.ports = [.init(name: "tcp", port: 53), dnsPort] }
  private static let dnsPort = Service.Port(name: "udp", protocol: .udp, port: 53)
  private static let everyone: [(host: Int, node: String)] = [(1, "there"), (2, "there"), (3, "beyond"), (4, "here")]

  private func dnsSlices(
    _ hosts: [(host: Int, node: String)], draining: Set<Int> = []
  ) -> [StateChange] {
    AddressFamily.allCases.flatMap { family in
      let endpoints = hosts.map { host, node in
        let address = IPAddress(family == .ipv4 ? "10.0.0.\(host)" : "fd65::\(host)")!
        return draining.contains(host) ? EndpointSlice.Endpoint.draining(address, on: node) : .ready(address, on: node)
      }
      let ports: [EndpointSlice.Port] = [
        .init(name: "tcp", port: 5353), .init(name: "udp", protocol: .udp, port: 5353),
      ]
      return [StateChange].set(.web(endpoints, name: "web-\(family)", family: family, ports: ports))
    }
  }

  /// What an agent says has ended that finds `state` at its start, where one before it has left ``dns`` with everyone.
  private func takeOver(finding state: [StateChange]) throws -> (old: ServiceTable, outcome: ServiceTable.Outcome) {
    let tables = MemoryTables()
    func table() throws -> ServiceTable {
      let nodes = NodeNumbers(capacity: 8)
      for (number, name) in [(UInt32(5), "there"), (2, "beyond")] {
        nodes.adopt(number, nameHash: NodeNumbers.hash(name))
      }
      return try ServiceTable(maps: tables.maps, configuration: .here, nodes: nodes)
    }
    let old = try table()
    old.update(.set(.here), .set(Self.dns), dnsSlices(Self.everyone))
    let new = try table()
    try new.adopt()
    #expect(new.update(.set(.here), state).endedBackends.isEmpty, "the state is not complete yet")
    return (old, new.finishAdoption())
  }

  @Test func `UDP backends that ended while nobody looked are told at take-over, TCP ones are not`() throws {
    let remaining = Self.everyone.filter { ![2, 3].contains($0.host) }
    let (old, outcome) = try takeOver(finding: .set(Self.dns) + dnsSlices(remaining, draining: [4]))
    let port = try #require(ids(old).first { $0.key.protocol == .udp }).value
    let ended = [
      ("10.0.0.2:5353", false), ("10.0.0.3:5353", true), ("[fd65::2]:5353", false), ("[fd65::3]:5353", true),
    ]
    #expect(Set(outcome.endedBackends.map(\.backend.description)) == Set(ended.map(\.0)))
    #expect(outcome.endedBackends.count == ended.count, "each once")
    for (backend, isLastOnNode) in ended {
      let told = outcome.endedBackends.first { $0.backend.description == backend }
      #expect(told?.isLastOnNode == isLastOnNode, "\(backend)")
      #expect(told?.service == port && told?.backend.node == (isLastOnNode ? 2 : 5), "\(backend)")
    }
    #expect(outcome.endedFrontends.isEmpty)
  }

  @Test func `Where nothing ended while nobody looked, nothing is told`() throws {
    let more = Self.everyone + [(5, "beyond")]
    for hosts in [Self.everyone, Array(Self.everyone.reversed()), more] {
      let (_, outcome) = try takeOver(finding: .set(Self.dns) + dnsSlices(hosts))
      #expect(outcome.endedBackends.isEmpty && outcome.endedFrontends.isEmpty)
    }
  }

  @Test func `A UDP service that lost its last backend while nobody looked tells of all`() throws {
    let (_, outcome) = try takeOver(finding: .set(Self.dns) + dnsSlices([]))
    #expect(outcome.endedBackends.count == 2 * Self.everyone.count)
    #expect(outcome.endedBackends.allSatisfy { $0.isLastOnNode })
  }

  @Test func `A UDP service that went while nobody looked is told of by its frontends`() throws {
    let (old, outcome) = try takeOver(finding: [])
    let port = try #require(ids(old).first { $0.key.protocol == .udp }).value
    let keys = Self.dns.clusterIPs.map { FrontendKey(address: $0, port: 53, protocol: .udp) }
    #expect(Set(outcome.endedFrontends) == Set(keys.map { .init(service: port, key: $0) }))
  }

  @Test func `Tables whose slices overlap are refused and left alone`() throws {
    let tables = MemoryTables()
    var value = frontend()
    value.service = 1
    value.cluster = backend_slice(offset: 10, count: 5)
    try tables.frontends.set(FrontendKey.web.key, value)
    value.cluster = backend_slice(offset: 12, count: 5)
    try tables.frontends.set(FrontendKey(address: "10.96.0.11", port: 80, protocol: .tcp).key, value)
    let table = try ServiceTable(maps: tables.maps, configuration: .here)
    #expect(throws: ServiceTable.AdoptionError.self) { try table.adopt() }
    value.cluster = backend_slice(offset: 8190, count: 5)
    try tables.frontends.set(FrontendKey.web.key, value)
    #expect(throws: ServiceTable.AdoptionError.self) { try table.adopt() }
    #expect(try tables.frontends.get(FrontendKey.web.key)?.cluster.offset == 8190)
  }

  @Test func `Maglev tables of another size or of other contents are built anew`() throws {
    let tables = MemoryTables()
    let old = try Bench(tables)
    old.apply(
      .set(.web { $0.loadBalancing = .maglev }), .set(.web([.ready("10.0.0.1"), .ready("10.0.0.2")])))
    let before = try #require(try tables.frontends.get(FrontendKey.web.key)).maglev
    tables.maglev.write([4711], at: Int(before.offset))
    let new = try ServiceTable(maps: tables.maps, configuration: .here)
    try new.adopt()
    new.update(.set(.web { $0.loadBalancing = .maglev }) + .set(.web([.ready("10.0.0.1"), .ready("10.0.0.2")])))
    _ = new.finishAdoption()
    let after = try #require(try tables.frontends.get(FrontendKey.web.key))
    #expect(after.maglev.offset != before.offset)
    #expect(try old.ask("10.96.0.10") == ["10.0.0.1:8080", "10.0.0.2:8080"])
  }
}
