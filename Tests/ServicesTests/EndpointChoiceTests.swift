import MartletModel
import MartletNetworking
import Testing

@testable import MartletServices

/// Which endpoints serve, by readiness, place and hints.
@Suite struct EndpointChoiceTests {
  typealias Endpoint = EndpointSlice.Endpoint

  /// The endpoints that a client of cluster IP 10.96.0.10 reaches.
  private func reached(_ endpoints: [Endpoint], internalPolicy: Service.TrafficPolicy = .cluster) throws -> [String] {
    let bench = try Bench()
    bench.apply(.set(.web { $0.internalTrafficPolicy = internalPolicy }), .set(.web(endpoints)))
    return try bench.ask("10.96.0.10", from: Bench.pod)
  }

  @Test func `Ready endpoints serve, others do not`() throws {
    #expect(try reached([.ready("10.0.0.1"), .unready("10.0.0.2"), .draining("10.0.0.3")]) == ["10.0.0.1:8080"])
  }

  @Test func `With no ready endpoint those that serve while they terminate do`() throws {
    let dead = Endpoint(address: "10.0.0.4", isReady: false, isServing: false, isTerminating: true)
    #expect(try reached([.unready("10.0.0.2"), .draining("10.0.0.3"), dead]) == ["10.0.0.3:8080"])
    #expect(try reached([.unready("10.0.0.2"), dead]) == ["refused"])
  }

  @Test func `Ready is believed of an endpoint that terminates and does not serve`() throws {
    let published = Endpoint(address: "10.0.0.1", isReady: true, isServing: false, isTerminating: true)
    #expect(try reached([published, .draining("10.0.0.2")]) == ["10.0.0.1:8080"])
  }

  @Test func `Local means the name of this node, to the letter`() throws {
    let endpoints: [Endpoint] = [
      .ready("10.0.0.1", on: "here"), .ready("10.0.0.2", on: "Here"), .ready("10.0.0.3"), .ready("8.8.8.8", on: "here"),
    ]
    #expect(try reached(endpoints, internalPolicy: .local) == ["8.8.8.8:8080", "10.0.0.1:8080"])
  }

  @Test func `The local set falls back to terminating endpoints by itself`() throws {
    let bench = try Bench()
    bench.apply(
      .set(
        .web {
          $0.kind = .nodePort
          $0.ports[0].nodePort = 30_080
          $0.externalTrafficPolicy = .local
        }),
      .set(.web([.ready("10.0.0.1", on: "there"), .draining("10.0.0.2", on: "here")])))
    #expect(try bench.ask("192.0.2.1", 30_080) == ["10.0.0.2:8080"])
    #expect(try bench.ask("192.0.2.1", 30_080, from: Bench.pod) == ["10.0.0.1:8080"])
    #expect(try bench.ask("10.96.0.10") == ["10.0.0.1:8080"])
  }

  @Test func `Endpoints count as often as the weights of their slices say`() throws {
    var heavy = EndpointSlice.web([.ready("10.0.0.1", on: "here"), .ready("10.0.0.2")], name: "heavy")
    heavy.weight = 6
    var light = EndpointSlice.web([.ready("10.0.0.3", on: "here")], name: "light")
    light.weight = 4
    let sets = EndpointSets(
      of: ServicePortName(service: Service.web().name, port: "http", protocol: .tcp), family: .ipv4,
      in: [heavy, light], seenFrom: Locality(node: "here"))
    let counts = Dictionary(grouping: sets.cluster, by: \.address).mapValues(\.count)
    #expect(counts == ["10.0.0.1": 3, "10.0.0.2": 3, "10.0.0.3": 2])
    #expect(sets.local.count == 5)
    #expect(sets.usable.count == 3)
  }

  // MARK: - Hints

  private func hinted(_ address: IPAddress, zones: Set<String> = [], nodes: Set<String> = []) -> Endpoint {
    Endpoint(address: address, zoneHints: zones, nodeHints: nodes)
  }

  @Test func `Hints for this zone narrow the choice`() throws {
    let endpoints = [hinted("10.0.0.1", zones: ["a", "b"]), hinted("10.0.0.2", zones: ["b"])]
    #expect(try reached(endpoints) == ["10.0.0.1:8080"])
  }

  @Test func `Hints for this node come before hints for its zone`() throws {
    let endpoints = [
      hinted("10.0.0.1", zones: ["a"], nodes: ["here"]), hinted("10.0.0.2", zones: ["a"], nodes: ["there"]),
      hinted("10.0.0.3", zones: ["b"], nodes: ["elsewhere"]),
    ]
    #expect(try reached(endpoints) == ["10.0.0.1:8080"])
    #expect(try reached(Array(endpoints.dropFirst())) == ["10.0.0.2:8080"])
    #expect(try reached(Array(endpoints.dropFirst(2))) == ["10.0.0.3:8080"])
  }

  @Test func `One ready endpoint without a hint switches hints off`() throws {
    let endpoints = [hinted("10.0.0.1", zones: ["a"]), hinted("10.0.0.2", zones: ["b"]), hinted("10.0.0.3")]
    #expect(try reached(endpoints).count == 3)
  }

  @Test func `Hints of endpoints that are not ready count for nothing`() throws {
    let unhinted = Endpoint.draining("10.0.0.3")
    #expect(try reached([hinted("10.0.0.1", zones: ["a"]), hinted("10.0.0.2", zones: ["b"]), unhinted]).count == 1)
    var here = Endpoint.draining("10.0.0.4")
    here.zoneHints = ["a"]
    #expect(try reached([hinted("10.0.0.2", zones: ["b"]), here]) == ["10.0.0.2:8080"])
  }

  @Test func `A node that enters a zone looks at hints anew`() throws {
    let bench = try Bench(node: nil)
    bench.apply(.set(.web()), .set(.web([hinted("10.0.0.1", zones: ["a"]), hinted("10.0.0.2", zones: ["b"])])))
    #expect(try bench.ask("10.96.0.10").count == 2)
    bench.apply(.set(.here))
    #expect(try bench.ask("10.96.0.10") == ["10.0.0.1:8080"])
  }

  @Test func `Hints narrow no local set`() throws {
    let endpoints = [
      Endpoint(address: "10.0.0.1", node: "here", zoneHints: ["b"]),
      Endpoint(address: "10.0.0.2", node: "here", zoneHints: ["a"]),
    ]
    #expect(try reached(endpoints, internalPolicy: .local).count == 2)
  }

  // MARK: - Slices

  @Test func `Slices of a service are one set, each with its own port number`() throws {
    let bench = try Bench()
    bench.apply(
      .set(.web()), .set(.web([.ready("10.0.0.1")])),
      .set(.web([.ready("10.0.0.2")], name: "web-2", ports: [.init(name: "http", port: 9090)])))
    #expect(try bench.ask("10.96.0.10") == ["10.0.0.1:8080", "10.0.0.2:9090"])
  }

  @Test func `Ports join by name and protocol, never by number`() throws {
    let bench = try Bench()
    bench.apply(.set(.web()), .set(.web([.ready("10.0.0.1")], ports: [.init(name: "other", port: 80)])))
    #expect(try bench.ask("10.96.0.10") == ["refused"])
    bench.apply(.set(.web([.ready("10.0.0.1")], ports: [.init(name: "http", protocol: .udp, port: 80)])))
    #expect(try bench.ask("10.96.0.10") == ["refused"])
  }

  @Test func `An endpoint in two slices counts once: the readier copy, and local if either is`() throws {
    let bench = try Bench()
    bench.apply(
      .set(.web { $0.internalTrafficPolicy = .local }),
      .set(.web([.unready("10.0.0.1", on: "here")])), .set(.web([.ready("10.0.0.1")], name: "web-2")))
    #expect(try bench.ask("10.96.0.10") == ["10.0.0.1:8080"])
    let frontend = try #require(try bench.tables.frontends.get(FrontendKey.web.key))
    #expect(frontend.local.count == 1)
  }

  @Test func `A slice that goes over to another service takes its endpoints along`() throws {
    let bench = try Bench()
    bench.apply(
      .set(.web()), .set(.web("other") { $0.clusterIPs = ["10.96.0.11"] }), .set(.web([.ready("10.0.0.1")])))
    bench.apply(.set(.web([.ready("10.0.0.1")], service: "other")))
    #expect(try bench.ask("10.96.0.10") == ["refused"])
    #expect(try bench.ask("10.96.0.11") == ["10.0.0.1:8080"])
  }

  @Test func `Addresses of the wrong family, headless slices and those of another proxy do not count`() throws {
    let bench = try Bench()
    var headless = EndpointSlice.web([.ready("10.0.0.2")], name: "web-2")
    headless.isHeadless = true
    var foreign = EndpointSlice.web([.ready("10.0.0.3")], name: "web-3")
    foreign.proxyName = "mesh"
    bench.apply(.set(.web()), .set(.web([.ready("fd00::1"), .ready("10.0.0.1")]), headless, foreign))
    #expect(try bench.ask("10.96.0.10") == ["10.0.0.1:8080"])
    #expect(try bench.ask("fd96::10") == ["refused"])
  }

  @Test func `Slices may come before their service, and it may go before them`() throws {
    let bench = try Bench()
    bench.apply(.set(.web([.ready("10.0.0.1")])))
    #expect(try bench.ask("10.96.0.10") == ["dropped"])
    bench.apply(.set(.web()))
    #expect(try bench.ask("10.96.0.10") == ["10.0.0.1:8080"])
    bench.apply(.remove(.web()))
    #expect(try bench.ask("10.96.0.10") == ["dropped"])
  }

  @Test func `Ready local endpoints are counted for the health check, terminating ones are not`() throws {
    let bench = try Bench()
    bench.apply(
      .set(.web()),
      .set(
        .web([.ready("10.0.0.1", on: "here"), .draining("10.0.0.2", on: "here"), .ready("10.0.0.3", on: "there")]),
        .web([.ready("10.0.0.1", on: "here"), .ready("10.0.0.4", on: "here")], name: "web-2")))
    #expect(bench.table.readyLocalEndpoints(of: Service.web().name) == 2)
  }
}

extension FrontendKey {
  static let web = FrontendKey(address: "10.96.0.10", port: 80, protocol: .tcp)
}
