import CBPF
import MartletModel
import MartletNetworking
import Testing

@testable import MartletServices

/// Where services answer, and what becomes of connections that no endpoint is for.
@Suite struct FrontendTests {
  private let endpoints = EndpointSlice.web([.ready("10.0.0.1", on: "here"), .ready("10.0.0.2", on: "there")])
  private let both = ["10.0.0.1:8080", "10.0.0.2:8080"]

  private func loadBalancer(_ edit: (inout Service) -> Void = { _ in }) -> Service {
    .web {
      $0.kind = .loadBalancer
      $0.ports[0].nodePort = 30_080
      $0.loadBalancerIngress = [.init("203.0.113.20")]
      $0.externalIPs = ["203.0.113.10"]
      edit(&$0)
    }
  }

  @Test func `A load balancer service answers at every kind of address`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer()), .set(endpoints))
    for address: IPAddress in ["10.96.0.10", "203.0.113.20", "203.0.113.10"] { #expect(try bench.ask(address) == both) }
    #expect(try bench.ask("192.0.2.1", 30_080) == both)
    #expect(try bench.ask("192.0.2.2", 30_080) == both)
    #expect(try bench.ask("192.0.2.1", 80) == ["not a service"])
    #expect(try bench.ask("203.0.113.20", 81) == ["not a service"])
  }

  @Test func `Addresses go when the service changes its type`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer()), .set(endpoints))
    bench.apply(.set(loadBalancer { $0.kind = .nodePort }))
    #expect(try bench.ask("203.0.113.20") == ["not a service"])
    #expect(try bench.ask("192.0.2.1", 30_080) == both)
    bench.apply(.set(loadBalancer { $0.kind = .clusterIP }))
    #expect(try bench.ask("192.0.2.1", 30_080) == ["not a service"])
    #expect(try bench.ask("203.0.113.10") == both)
    bench.apply(.set(loadBalancer { $0.kind = .externalName }))
    #expect(try bench.ask("203.0.113.10") == ["not a service"])
    #expect(try bench.ask("10.96.0.10") == ["dropped"])
  }

  @Test func `Without an allocated node port there is none`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer { $0.ports[0].nodePort = nil }), .set(endpoints))
    #expect(try bench.ask("192.0.2.1", 0) == ["not a service"])
    #expect(try bench.ask("203.0.113.20") == both)
  }

  @Test func `An address that the load balancer keeps to itself is left alone`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer()), .set(endpoints))
    bench.apply(.set(loadBalancer { $0.loadBalancerIngress = [.init("203.0.113.20", mode: .proxy)] }))
    #expect(try bench.ask("203.0.113.20") == ["not a service"])
    #expect(try bench.ask("192.0.2.1", 30_080) == both)
  }

  @Test(
    arguments: [
      { $0.isHeadless = true }, { $0.clusterIPs = [] }, { $0.kind = .externalName }, { $0.proxyName = "mesh" },
    ] as [@Sendable (inout Service) -> Void])
  func `Services that are not ours have no frontends`(edit: @Sendable (inout Service) -> Void) throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer()), .set(endpoints))
    bench.apply(.set(loadBalancer(edit)))
    for address: IPAddress in ["203.0.113.20", "203.0.113.10"] { #expect(try bench.ask(address) == ["not a service"]) }
    #expect(try bench.ask("192.0.2.1", 30_080) == ["not a service"])
    #expect(try bench.ask("10.96.0.10") == ["dropped"])
    bench.apply(.set(loadBalancer()))
    #expect(try bench.ask("10.96.0.10") == both)
  }

  // MARK: - Verdicts

  @Test func `Without endpoints anywhere clients are refused at every address`() throws {
    let bench = try Bench()
    for policy in Service.TrafficPolicy.allCases {
      bench.apply(
        .set(
          loadBalancer {
            $0.externalTrafficPolicy = policy
            $0.internalTrafficPolicy = policy
          }))
      for address: IPAddress in ["10.96.0.10", "203.0.113.20", "203.0.113.10"] {
        #expect(try bench.ask(address) == ["refused"])
        #expect(try bench.ask(address, from: Bench.pod) == ["refused"])
      }
      #expect(try bench.ask("192.0.2.1", 30_080) == ["refused"])
    }
  }

  @Test func `Under a Local policy without local endpoints clients are dropped`() throws {
    let bench = try Bench()
    let elsewhere = EndpointSlice.web([.ready("10.0.0.2", on: "there")])
    bench.apply(.set(loadBalancer { $0.internalTrafficPolicy = .local }), .set(elsewhere))
    #expect(try bench.ask("10.96.0.10", from: Bench.pod) == ["dropped"])
    // The internal policy is for cluster IPs alone.
    #expect(try bench.ask("203.0.113.20", from: Bench.pod) == ["10.0.0.2:8080"])
    bench.apply(.set(loadBalancer { $0.externalTrafficPolicy = .local }))
    for address: IPAddress in ["203.0.113.20", "203.0.113.10"] {
      #expect(try bench.ask(address) == ["dropped"])
      #expect(try bench.ask(address, from: Bench.pod) == ["10.0.0.2:8080"])
    }
    #expect(try bench.ask("192.0.2.1", 30_080) == ["dropped"])
    #expect(try bench.ask("10.96.0.10") == ["10.0.0.2:8080"])
  }

  @Test func `A service range that an object names counts until the object goes`() throws {
    let tables = MemoryTables()
    let table = try ServiceTable(maps: tables.maps, configuration: Configuration(nodeName: "here"))
    let unallocated = FrontendKey(address: "10.97.0.9", port: 80, protocol: .tcp)
    let client = Client(address: "10.65.1.1", isOnThisNode: true)
    _ = table.apply([.set(.serviceRange(ServiceRange(name: "more", prefixes: ["10.97.0.0/16"])))])
    #expect(try tables.maps.answer(to: client, at: unallocated) == .dropped)
    _ = table.apply([.removed(.serviceRange("more"))])
    #expect(try tables.maps.answer(to: client, at: unallocated) == .notService)
  }

  @Test func `An undefined port of a cluster IP is refused, an unallocated address dropped`() throws {
    let bench = try Bench()
    bench.apply(.set(.web()), .set(endpoints))
    #expect(try bench.ask("10.96.0.10", 81) == ["refused"])
    #expect(try bench.ask("10.96.0.10", 80, .udp) == ["refused"])
    #expect(try bench.ask("10.96.0.11") == ["dropped"])
    #expect(try bench.ask("fd96::11") == ["dropped"])
    #expect(try bench.ask("198.51.100.1") == ["not a service"])
  }

  // MARK: - Families

  @Test func `Each family has its own endpoints`() throws {
    let bench = try Bench()
    bench.apply(.set(.web()), .set(endpoints))
    #expect(try bench.ask("fd96::10") == ["refused"])
    bench.apply(.set(.web([.ready("fd00::1")], name: "web-6", family: .ipv6)))
    #expect(try bench.ask("fd96::10") == ["fd00::1:8080"])
    #expect(try bench.ask("10.96.0.10") == both)
    bench.apply(.set(.web { $0.clusterIPs = ["10.96.0.10"] }))
    #expect(try bench.ask("fd96::10") == ["dropped"])
  }

  @Test func `Addresses of a family that the service does not have are skipped`() throws {
    let bench = try Bench()
    bench.apply(
      .set(
        loadBalancer {
          $0.clusterIPs = ["10.96.0.10"]
          $0.loadBalancerIngress.append(.init("2001:db8:e::1"))
        }),
      .set(endpoints))
    #expect(try bench.ask("2001:db8:e::1") == ["not a service"])
    #expect(try bench.ask("2001:db8::1", 30_080) == ["not a service"])
  }

  // MARK: - Node ports

  @Test func `Node ports follow the node's addresses`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer()), .set(endpoints))
    var node = Node.here
    node.addresses = [.init("192.0.2.7")]
    bench.apply(.set(node))
    #expect(try bench.ask("192.0.2.1", 30_080) == ["not a service"])
    #expect(try bench.ask("192.0.2.7", 30_080) == both)
    bench.apply([.removed(.node("here"))])
    #expect(try bench.ask("192.0.2.7", 30_080) == ["not a service"])
  }

  @Test func `Ranges of one family leave the other without node ports`() throws {
    var configuration = Configuration.here
    configuration.nodePortAddresses = .within(["192.0.2.0/31", "127.0.0.0/8"])
    let bench = try Bench(configuration: configuration)
    let endpoints6 = EndpointSlice.web([.ready("fd00::1")], name: "web-6", family: .ipv6)
    bench.apply(.set(loadBalancer()), .set(endpoints, endpoints6))
    #expect(try bench.ask("192.0.2.1", 30_080) == both)
    #expect(try bench.ask("192.0.2.2", 30_080) == ["not a service"])
    #expect(try bench.ask("2001:db8::1", 30_080) == ["not a service"])
    // Loopback only because a range names it.
    #expect(try bench.ask("127.0.0.1", 30_080) == both)
  }

  @Test func `Loopback has no node ports unless a range names it`() throws {
    for addresses in [Configuration.NodePortAddresses.all, .primary, .within(["0.0.0.0/0", "::/0"])] {
      var configuration = Configuration.here
      configuration.nodePortAddresses = addresses
      let bench = try Bench(configuration: configuration)
      bench.apply(.set(loadBalancer()), .set(endpoints))
      #expect(try bench.ask("127.0.0.1", 30_080) == ["not a service"])
      #expect(try bench.ask("192.0.2.1", 30_080) == both)
    }
  }

  // MARK: - Source ranges

  @Test func `Source ranges guard the load balancer's address and nothing else`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer { $0.sourceRanges = ["198.18.0.0/15"] }), .set(endpoints))
    #expect(try bench.ask("203.0.113.20") == ["dropped"])
    #expect(try bench.ask("203.0.113.20", from: Bench.pod) == ["dropped"])
    #expect(try bench.ask("203.0.113.10") == both)
    #expect(try bench.ask("10.96.0.10") == both)
    #expect(try bench.ask("192.0.2.1", 30_080) == both)
    bench.apply(.set(loadBalancer { $0.sourceRanges = ["198.18.0.0/15", "198.51.100.0/24"] }))
    #expect(try bench.ask("203.0.113.20") == both)
    bench.apply(.set(loadBalancer()))
    #expect(try bench.ask("203.0.113.20", from: Bench.pod) == both)
  }

  @Test func `Ranges of the other family alone admit nobody`() throws {
    let bench = try Bench()
    for range in ["2001:db8::/32", "::/0", "::/64"] as [IPPrefix] {
      bench.apply(.set(loadBalancer { $0.sourceRanges = [range] }), .set(endpoints))
      #expect(try bench.ask("203.0.113.20") == ["dropped"], "\(range)")
    }
  }

  @Test func `A node that is admitted may use the address with the address as its source`() throws {
    let bench = try Bench()
    let own = Client(address: "203.0.113.20", isOnThisNode: true)
    bench.apply(.set(loadBalancer { $0.sourceRanges = ["198.18.0.0/15"] }), .set(endpoints))
    #expect(try bench.ask("203.0.113.20", from: own) == ["dropped"])
    bench.apply(.set(loadBalancer { $0.sourceRanges = ["192.0.2.0/24"] }))
    #expect(try bench.ask("203.0.113.20", from: own) == both)
  }

  @Test func `An external IP does not get round the ranges of the same load balancer address`() throws {
    let bench = try Bench()
    bench.apply(
      .set(
        loadBalancer {
          $0.sourceRanges = ["198.18.0.0/15"]
          $0.externalIPs = ["203.0.113.20"]
        }), .set(endpoints))
    #expect(try bench.ask("203.0.113.20") == ["dropped"])
  }

  // MARK: - Flags

  private func flags(_ bench: Bench, _ address: IPAddress, _ port: UInt16 = 80) throws -> UInt32 {
    try #require(try bench.tables.frontends.get(FrontendKey(address: address, port: port, protocol: .tcp).key)).flags
  }

  @Test func `Maglev is for frontends whose clients all use the cluster set`() throws {
    let bench = try Bench()
    bench.apply(
      .set(
        loadBalancer {
          $0.loadBalancing = .maglev
          $0.externalTrafficPolicy = .local
        }), .set(endpoints))
    #expect(try flags(bench, "10.96.0.10") & FRONTEND_MAGLEV.rawValue != 0)
    #expect(try flags(bench, "203.0.113.20") & FRONTEND_MAGLEV.rawValue == 0)
    #expect(try bench.ask("10.96.0.10") == both)
  }

  @Test func `Direct return is for external frontends, by service or by default`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer { $0.forwarding = .directReturn }), .set(endpoints))
    #expect(try flags(bench, "203.0.113.20") & FRONTEND_DSR.rawValue != 0)
    #expect(try flags(bench, "10.96.0.10") & FRONTEND_DSR.rawValue == 0)
    bench.apply(.set(loadBalancer()))
    #expect(try flags(bench, "203.0.113.20") & FRONTEND_DSR.rawValue == 0)
  }

  @Test func `Automatic forwarding follows what the network carries`() throws {
    let bench = try Bench()
    bench.apply(.set(loadBalancer { $0.forwarding = .automatic }), .set(endpoints))
    for carries in [true, false] {
      #expect(bench.table.setCarriesDirectReturn(carries).problems.isEmpty)
      #expect(try (flags(bench, "203.0.113.20") & FRONTEND_DSR.rawValue != 0) == carries)
    }
    bench.apply(.set(loadBalancer { $0.forwarding = .standard }))
    #expect(bench.table.setCarriesDirectReturn(true).problems.isEmpty)
    #expect(try flags(bench, "203.0.113.20") & FRONTEND_DSR.rawValue == 0)
  }

  @Test func `All frontends of a port share its id, so that a client keeps its backend`() throws {
    let bench = try Bench()
    bench.apply(
      .set(
        loadBalancer {
          $0.sessionAffinity = .clientIP(timeout: 10)
          $0.ports.append(.init(name: "dns", port: 53))
        }),
      .set(endpoints))
    let http = ServicePortName(service: Service.web().name, port: "http", protocol: .tcp)
    let id = try #require(bench.table.id(of: http))
    #expect(bench.table.port(withID: id) == http)
    var ids: Set<UInt32> = []
    try bench.tables.frontends.forEach { (key: frontend_key, value: frontend) in
      #expect(value.affinity_timeout == 10)
      if UInt16(bigEndian: key.port) != 53 { ids.insert(value.service) } else { #expect(value.service != id) }
    }
    #expect(ids == [id])
  }
}
