import BPF
import CBPF
import MartletModel
import MartletNetworking
import TableTesting
import Testing

@testable import MartletServices

/// What a change costs and what follows from it.
@Suite struct UpdateTests {
  private func manyServices(_ count: Int) -> [StateChange] {
    (0..<count).flatMap { index -> [StateChange] in
      let name = "service-\(index)"
      let service = Service.web(name) {
        $0.clusterIPs = [IPAddress(10, 96, UInt8(index / 250), UInt8(index % 250 + 1))]
      }
      return .set(service) + .set(.web([.ready("10.0.0.1"), .ready("10.0.0.2")], name: name + "-1", service: name))
    }
  }

  @Test func `A changed endpoint costs its service's entries and one update, among a thousand services`() throws {
    let log = WriteLog()
    let table = try ServiceTable(maps: MemoryTables().maps(watchedBy: log), configuration: .here)
    table.update(manyServices(1000))
    log.clear()
    table.update(
      .set(.web([.ready("10.0.0.1"), .ready("10.0.0.3")], name: "service-500-1", service: "service-500")))
    #expect(log.updates == 1)
    #expect(log.entries == 2)
    #expect(log.entriesRead == 0 && log.iterations == 0)
  }

  @Test func `What changes nothing writes nothing`() throws {
    let log = WriteLog()
    let table = try ServiceTable(maps: MemoryTables().maps(watchedBy: log), configuration: .here)
    let slice = EndpointSlice.web([.ready("10.0.0.1", on: "here"), .ready("10.0.0.2")])
    table.update(.set(.here) + .set(.web()) + .set(slice))
    log.clear()
    table.update([.removed(.endpointSlice(slice.name))] + .set(slice))
    var moved = slice
    moved.name = .init(namespace: "default", name: "web-2")
    table.update(.set(moved) + [.removed(.endpointSlice(slice.name))])
    table.update(.set(.web([.ready("10.0.0.2"), .ready("10.0.0.1", on: "here"), .unready("10.0.0.3")], name: "web-2")))
    table.update(.set(.here) + [.set(.namespace(Namespace(name: "default")))])
    #expect(log.updates == 0 && log.entries == 0)
  }

  @Test func `The local set needs no entries of its own where it is part of the cluster set`() throws {
    let bench = try Bench()
    bench.apply(
      .set(
        .web {
          $0.kind = .nodePort
          $0.ports[0].nodePort = 30_080
          $0.externalTrafficPolicy = .local
        }),
      .set(.web([.ready("10.0.0.1", on: "there"), .ready("10.0.0.2", on: "here"), .ready("10.0.0.3", on: "here")])))
    let key = FrontendKey(address: "192.0.2.1", port: 30_080, protocol: .tcp)
    let frontend = try #require(try bench.tables.frontends.get(key.key))
    #expect(frontend.local.offset == frontend.cluster.offset)
    #expect(frontend.local.count == 2 && frontend.cluster.count == 3)
    #expect(bench.table.slices.freeBackends == bench.tables.backends.count - 3)
  }

  @Test func `Entries of a slice are in the order that the data path searches them in`() throws {
    let bench = try Bench()
    bench.apply(
      .set(.web()), .set(.web([.ready("10.0.0.9"), .ready("10.0.0.200", on: "here"), .ready("10.0.0.10")])))
    let slice = try #require(try bench.tables.frontends.get(FrontendKey.web.key)).cluster
    let entries = (0..<Int(slice.count)).map { Backend(bench.tables.backends.read(Int(slice.offset) + $0)).description }
    #expect(entries == ["10.0.0.200:8080 (local)", "10.0.0.9:8080", "10.0.0.10:8080"])
  }

  // MARK: - Ids and affinity

  private let port = ServicePortName(service: Service.web().name, port: "http", protocol: .tcp)

  @Test func `A port keeps its id through every change, and nobody gets it afterwards`() throws {
    let bench = try Bench()
    bench.apply(.set(.web()))
    let id = try #require(bench.table.id(of: port))
    bench.apply(
      .set(
        .web {
          $0.clusterIPs = ["10.96.0.77"]
          $0.ports[0].port = 8000
        }), .set(.web([.ready("10.0.0.1")])))
    #expect(bench.table.id(of: port) == id)
    bench.apply(.remove(.web()))
    bench.apply(.set(.web("other")))
    #expect(bench.table.id(of: .init(service: Service.web("other").name, port: "http", protocol: .tcp)) != id)
  }

  private func affinityEntries(_ bench: Bench) throws -> Int {
    var count = 0
    try bench.tables.affinity.forEach { (_: affinity_key, _: affinity) in count += 1 }
    return count
  }

  @Test(arguments: [true, false])
  func `Affinity ends with the service, and when it is switched off`(isRemoved: Bool) throws {
    let bench = try Bench()
    let other = Service.web("other") {
      $0.clusterIPs = ["10.96.0.11"]
      $0.sessionAffinity = .clientIP(timeout: 10)
    }
    bench.apply(.set(.web { $0.sessionAffinity = .clientIP(timeout: 10) }), .set(other))
    for name in [port, .init(service: other.name, port: "http", protocol: .tcp)] {
      let id = try #require(bench.table.id(of: name))
      try bench.tables.affinity.set(
        affinity_key(client: ip_address("10.0.0.9"), service: id, reserved: 0), affinity())
    }
    bench.apply(isRemoved ? .remove(.web()) : .set(.web()))
    #expect(bench.table.needsReclaim)
    let now = ContinuousClock.now
    _ = bench.table.reclaim(now: now)
    #expect(try affinityEntries(bench) == 2)
    _ = bench.table.reclaim(now: now + ServiceTable.gracePeriod)
    #expect(try affinityEntries(bench) == 1)
    #expect(!bench.table.needsReclaim)
  }

  // MARK: - Shared addresses

  @Test func `Entries of pods and nodes come before a cluster IP's, which returns after them`() throws {
    let bench = try Bench()
    let key = ip_address("10.96.0.10" as IPAddress)
    let pod = address_entry(kind: ADDRESS_LOCAL_POD.rawValue, index: 3)
    try bench.tables.addresses.set(key, pod)
    bench.apply(.set(.web()))
    #expect(try bench.tables.addresses.get(key)?.kind == pod.kind)
    try bench.tables.addresses.remove(key)
    _ = bench.table.restoreAddress("10.96.0.10")
    #expect(try bench.ask("10.96.0.10", 81) == ["refused"])
    _ = bench.table.restoreAddress("10.96.0.99")
    #expect(try bench.ask("10.96.0.99") == ["dropped"])
    try bench.tables.addresses.set(key, pod)
    bench.apply(.remove(.web()))
    #expect(try bench.tables.addresses.get(key)?.kind == pod.kind)
  }

  @Test func `A cluster IP is entered until the last port of it has gone`() throws {
    let bench = try Bench()
    bench.apply(.set(.web { $0.ports.append(.init(name: "dns", port: 53)) }))
    bench.apply(.set(.web { $0.ports[0] = .init(name: "dns", port: 53) }))
    #expect(try bench.ask("10.96.0.10", 80) == ["refused"])
    bench.apply(.remove(.web()))
    #expect(try bench.ask("10.96.0.10", 80) == ["dropped"])
  }

  // MARK: - UDP

  private func dns(_ edit: (inout Service) -> Void = { _ in }) -> Service {
    .web {
      $0.clusterIPs = ["10.96.0.10"]
      $0.ports = [.init(name: "dns", protocol: .udp, port: 53)]
      edit(&$0)
    }
  }

  private func dnsSlice(_ endpoints: [EndpointSlice.Endpoint]) -> EndpointSlice {
    .web(endpoints, ports: [.init(name: "dns", protocol: .udp, port: 5353)])
  }

  @Test func `UDP backends that serve no longer are told, down to the last`() throws {
    let bench = try Bench()
    bench.apply(.set(dns()), .set(dnsSlice([.ready("10.0.0.1"), .ready("10.0.0.2")])))
    let first = bench.apply(.set(dnsSlice([.draining("10.0.0.1"), .ready("10.0.0.3")])))
    #expect(first.endedBackends.map(\.backend.description) == ["10.0.0.2:5353"])
    let last = bench.apply(.set(dnsSlice([])))
    #expect(last.endedBackends.map(\.backend.description) == ["10.0.0.1:5353", "10.0.0.3:5353"])
    #expect(last.endedFrontends.isEmpty)
  }

  @Test func `UDP frontends that went away are told, TCP ones are not`() throws {
    let bench = try Bench()
    let both: (inout Service) -> Void = {
      $0.externalIPs = ["203.0.113.1"]
      $0.ports.append(.init(name: "dns-tcp", port: 53))
    }
    bench.apply(.set(dns(both)), .set(dnsSlice([.ready("10.0.0.1")])))
    let id = try #require(bench.table.id(of: .init(service: dns().name, port: "dns", protocol: .udp)))
    let outcome = bench.apply(
      .set(
        dns {
          both(&$0)
          $0.externalIPs = []
        }))
    let key = FrontendKey(address: "203.0.113.1", port: 53, protocol: .udp)
    #expect(outcome.endedFrontends == [ServiceTable.EndedFrontend(service: id, key: key)])
    #expect(outcome.endedBackends.isEmpty)
    #expect(bench.apply(.remove(dns())).endedBackends.map(\.backend.description) == ["10.0.0.1:5353"])
  }
}
