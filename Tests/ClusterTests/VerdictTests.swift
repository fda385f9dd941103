import BPFTesting
import MartletNetworking
import Testing

/// Who gets a new connection, and what becomes of it if nobody does.
@Suite(.requiresBPF, .cluster, .serialized) struct VerdictTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  /// A service with every kind of frontend.
  private let everywhere = ServiceManifest.loadBalancer.with { service in
    service.ports = [.init(80, nodePort: 30080), .init(53, "UDP", name: "dns", nodePort: 30053)]
    service.ports[0].name = "http"
    service.spec = ["externalIPs": .list(DualAddress.external.both.map { "\($0)" })]
  }
  private let bothPorts: [JSON] = [.port(8080, name: "http"), .port(5353, "UDP", name: "dns")]

  private func slices(_ endpoints: [EndpointSliceManifest.Endpoint]) -> EndpointSliceManifest {
    EndpointSliceManifest(endpoints) { $0.ports = bothPorts }
  }

  /// Every frontend of ``everywhere``, as node 1 has it.
  private func frontends(_ family: AddressFamily) -> [(IPAddress, tcp: UInt16, udp: UInt16)] {
    [DualAddress.web, .external, .loadBalancer].map { ($0[family], 80, 53) }
      + [(cluster.node(1)[family], 30080, 30053)]
  }

  @Test(arguments: Access.all) func clusterIPIsAnsweredByEveryEndpointAlikeAndTheSourceIsKept(_ access: Access) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(["p11", "p21", "p31"])])
    for client in [cluster.pod(1, 2), cluster.node(1)] {
      let answers = try client.ask(.web, 80, access, count: 90)
      #expect(answers.outcome == .answered(by: ["p11", "p21", "p31"]))
      #expect(answers.peers == [client[access.family]])
      #expect(answers.senders == [SocketAddress(DualAddress.web[access.family], 80)])
      for name in answers.servers { #expect(answers.count(by: name) > 12, "\(name) of 90") }
    }
  }

  @Test(arguments: Access.all) func endpointOfTheNodesOwnNetworkIsReached(_ access: Access) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(["n1", "n2"])])
    for client in [cluster.pod(1, 2), cluster.node(1), cluster.node(2), cluster.pod(3, 1)] {
      #expect(try client.ask(.web, 80, access, count: 20).outcome == .answered(by: ["n1", "n2"]), "\(client.name)")
    }
  }

  @Test(arguments: Access.all) func withoutAnyEndpointEveryFrontendRefuses(_ access: Access) throws {
    try cluster.apply(services: [everywhere], slices: [slices([.notReady("p11"), .finished("p21")])])
    for address in [DualAddress.external, .loadBalancer] { try cluster.route(address[access.family], via: 1) }
    for (address, tcp, udp) in frontends(access.family) {
      for client in [cluster.pod(1, 2), cluster.node(1), cluster.client]
      where client.node != nil || address != DualAddress.web[access.family] {
        let byTCP = try client.ask(SocketAddress(address, tcp), balancing: access.balancing)
        #expect(byTCP.outcome == .refused, "\(client.name) to \(address):\(tcp)/TCP")
        let byUDP = try client.ask(SocketAddress(address, udp), .udp, balancing: access.balancing)
        #expect(byUDP.outcome == .refused, "\(client.name) to \(address):\(udp)/UDP")
      }
    }
  }

  @Test(arguments: Access.all) func externalFrontendsAreReachedFromEverywhere(_ access: Access) throws {
    try cluster.apply(services: [everywhere], slices: [slices(["p11", "p21"])])
    for address in [DualAddress.external, .loadBalancer] { try cluster.route(address[access.family], via: 1) }
    for (address, tcp, udp) in frontends(access.family) {
      for client in [cluster.pod(1, 2), cluster.node(1), cluster.client]
      where client.node != nil || address != DualAddress.web[access.family] {
        let byTCP = try client.ask(SocketAddress(address, tcp), count: 20, balancing: access.balancing)
        #expect(byTCP.outcome == .answered(by: ["p11", "p21"]), "\(client.name) to \(address):\(tcp)/TCP")
        #expect(byTCP.senders == [SocketAddress(address, tcp)])
        let byUDP = try client.ask(SocketAddress(address, udp), .udp, count: 20, balancing: access.balancing)
        #expect(byUDP.outcome == .answered(by: ["p11", "p21"]), "\(client.name) to \(address):\(udp)/UDP")
        #expect(byUDP.senders == [SocketAddress(address, udp)])
        let unconnected = try client.ask(
          SocketAddress(address, udp), .udp, count: 20, balancing: access.balancing, isConnected: false)
        #expect(unconnected.outcome == .answered(by: ["p11", "p21"]), "\(client.name) to \(address):\(udp)/UDP")
        #expect(unconnected.senders == [SocketAddress(address, udp)])
      }
    }
  }

  @Test(arguments: Access.all) func internalPolicyLocalWithoutLocalEndpointsDropsAtTheClusterIPOnly(
    _ access: Access
  ) throws {
    let service = everywhere.with { $0.spec["internalTrafficPolicy"] = "Local" }
    try cluster.apply(services: [service], slices: [slices(["p21", "p31"])])
    for address in [DualAddress.external, .loadBalancer] { try cluster.route(address[access.family], via: 1) }
    for client in [cluster.pod(1, 2), cluster.node(1)] {
      #expect(try client.ask(.web, 80, access).outcome == .dropped)
      #expect(try client.ask(.web, 53, access, .udp).outcome == .dropped)
      for (address, tcp, _) in frontends(access.family).dropFirst() {
        let answers = try client.ask(SocketAddress(address, tcp), count: 20, balancing: access.balancing)
        #expect(answers.outcome == .answered(by: ["p21", "p31"]), "\(client.name) to \(address)")
      }
    }
    #expect(try cluster.pod(2, 2).ask(.web, 80, access, count: 10).outcome == .answered(by: ["p21"]))
    #expect(try cluster.node(2).ask(.web, 80, access, count: 10).outcome == .answered(by: ["p21"]))
  }

  @Test(arguments: Access.all) func internalPolicyLocalWithoutAnyEndpointRefuses(_ access: Access) throws {
    try cluster.apply(
      services: [.clusterIP.with { $0.spec = ["internalTrafficPolicy": "Local"] }],
      slices: [.init([.notReady("p11"), .notReady("p21")])])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access).outcome == .refused)
    #expect(try cluster.node(1).ask(.web, 80, access).outcome == .refused)
  }

  @Test(arguments: Access.all) func externalPolicyLocalBindsOnlyClientsOutside(_ access: Access) throws {
    let service = everywhere.with { $0.spec["externalTrafficPolicy"] = "Local" }
    try cluster.apply(services: [service], slices: [slices(["p21"])])
    for address in [DualAddress.external, .loadBalancer] { try cluster.route(address[access.family], via: 1) }
    for (address, tcp, udp) in frontends(access.family).dropFirst() {
      #expect(try cluster.client.ask(SocketAddress(address, tcp)).outcome == .dropped, "\(address)")
      #expect(try cluster.client.ask(SocketAddress(address, udp), .udp).outcome == .dropped, "\(address)")
      for client in [cluster.pod(1, 2), cluster.node(1)] {
        let answers = try client.ask(SocketAddress(address, tcp), count: 3, balancing: access.balancing)
        #expect(answers.outcome == .answered(by: ["p21"]), "\(client.name) to \(address)")
      }
    }
    for address in [DualAddress.external, .loadBalancer] {
      try cluster.route(address[access.family], via: 2)
      let answers = try cluster.client.ask(address, 80, access, count: 3)
      #expect(answers.outcome == .answered(by: ["p21"]))
      #expect(answers.peers == [cluster.client[access.family]])
    }
    #expect(try cluster.pod(1, 2).ask(.web, 80, access).outcome == .answered(by: ["p21"]), "the cluster IP is internal")
  }

  @Test(arguments: Access.all) func externalPolicyLocalWithoutAnyEndpointRefuses(_ access: Access) throws {
    try cluster.apply(
      services: [everywhere.with { $0.spec["externalTrafficPolicy"] = "Local" }], slices: [slices([.finished("p11")])])
    for address in [DualAddress.external, .loadBalancer] { try cluster.route(address[access.family], via: 1) }
    for (address, tcp, _) in frontends(access.family).dropFirst() {
      #expect(try cluster.client.ask(SocketAddress(address, tcp)).outcome == .refused, "\(address)")
    }
  }

  @Test(arguments: Access.all) func externalPolicyHasNoEffectWithoutExternalFrontends(_ access: Access) throws {
    try cluster.apply(
      services: [.clusterIP.with { $0.spec = ["externalTrafficPolicy": "Local"] }], slices: [.init(["p21"])])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 3).outcome == .answered(by: ["p21"]))
  }

  @Test(arguments: AddressFamily.allCases) func externalIPOfAClusterIPServiceIsExternal(_ family: AddressFamily) throws
  {
    let service = ServiceManifest.clusterIP.with {
      $0.spec = [
        "externalIPs": .list(DualAddress.external.both.map { "\($0)" }), "externalTrafficPolicy": "Local",
        "internalTrafficPolicy": "Local",
      ]
    }
    try cluster.apply(services: [service], slices: [.init(["p21"])])
    try cluster.route(DualAddress.external[family], via: 1)
    #expect(try cluster.client.ask(.external, 80, .packets(family)).outcome == .dropped)
    #expect(try cluster.pod(1, 2).ask(.external, 80, .packets(family)).outcome == .answered(by: ["p21"]))
    try cluster.route(DualAddress.external[family], via: 2)
    let answers = try cluster.client.ask(.external, 80, .packets(family))
    #expect(answers.outcome == .answered(by: ["p21"]))
    #expect(answers.peers == [cluster.client[family]])
  }

  @Test(arguments: Access.all) func readyEndpointsArePreferredToTerminatingOnes(_ access: Access) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init([.terminating("p11"), "p21"])])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 20).outcome == .answered(by: ["p21"]))
  }

  @Test(arguments: Access.all) func terminatingEndpointsServeWhenNoneIsReady(_ access: Access) throws {
    try cluster.apply(
      services: [.clusterIP], slices: [.init([.terminating("p11"), .terminating("p21"), .finished("p31")])])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 20).outcome == .answered(by: ["p11", "p21"]))
  }

  @Test(arguments: Access.all) func theTwoFallbacksToTerminatingEndpointsAreIndependent(_ access: Access) throws {
    let service = everywhere.with { $0.spec = $0.spec.merging(["internalTrafficPolicy": "Local"]) }
    try cluster.apply(services: [service], slices: [slices([.terminating("p11"), "p21"])])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 10).outcome == .answered(by: ["p11"]))
    #expect(try cluster.pod(1, 2).ask(.loadBalancer, 80, access, count: 10).outcome == .answered(by: ["p21"]))
    #expect(try cluster.pod(3, 2).ask(.web, 80, access).outcome == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func terminatingEndpointServesClientsOutsideUnderPolicyLocal(
    _ family: AddressFamily
  ) throws {
    let service = everywhere.with { $0.spec["externalTrafficPolicy"] = "Local" }
    try cluster.apply(services: [service], slices: [slices([.terminating("p11"), "p21"])])
    try cluster.route(DualAddress.loadBalancer[family], via: 1)
    #expect(try cluster.client.ask(.loadBalancer, 80, .packets(family), count: 10).outcome == .answered(by: ["p11"]))
    #expect(
      try cluster.pod(1, 2).ask(.loadBalancer, 80, .packets(family), count: 10).outcome == .answered(by: ["p21"]))
  }

  @Test(arguments: Access.all) func hintsNarrowNeitherLocalSetNorFallback(_ access: Access) throws {
    let elsewhere = JSON.hints(zones: ["b"])
    func endpoint(_ name: String, _ hints: JSON, isReady: Bool) -> EndpointSliceManifest.Endpoint {
      var endpoint: EndpointSliceManifest.Endpoint = isReady ? .init(name) : .terminating(name)
      endpoint.hints = hints
      return endpoint
    }
    let service = everywhere.with { $0.spec["internalTrafficPolicy"] = "Local" }
    let hinted = [endpoint("p11", elsewhere, isReady: true), endpoint("p21", .hints(zones: ["a"]), isReady: true)]
    try cluster.apply(services: [service], slices: [slices(hinted)])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 10).outcome == .answered(by: ["p11"]))
    #expect(try cluster.pod(1, 2).ask(.loadBalancer, 80, access, count: 10).outcome == .answered(by: ["p21"]))
    let draining = [endpoint("p11", elsewhere, isReady: false), endpoint("p21", .hints(zones: ["a"]), isReady: false)]
    try cluster.apply(services: [everywhere], slices: [slices(draining)])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 20).outcome == .answered(by: ["p11", "p21"]))
  }

  @Test(arguments: Access.all) func unusedPortsOfAClusterIPRefuseAndUnallocatedOnesDrop(_ access: Access) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(["p11"])])
    for client in [cluster.pod(1, 2), cluster.node(1)] {
      #expect(try client.ask(.web, 81, access).outcome == .refused)
      #expect(try client.ask(.web, 80, access, .udp).outcome == .refused)
      #expect(try client.ask(.unallocated, 80, access).outcome == .dropped)
      #expect(try client.ask(.unallocated, 80, access, .udp).outcome == .dropped)
    }
  }

  @Test(arguments: AddressFamily.allCases, [L4Protocol.tcp, .udp])
  func nodeMayUseOneSourcePortForAServiceAndForItsBackend(_ family: AddressFamily, _ number: L4Protocol) throws {
    let service = ServiceManifest.clusterIP.with { $0.ports = [.init(80, number == .tcp ? "TCP" : "UDP")] }
    let node = cluster.node(1)
    for (backend, port) in [("p11", 45_671), ("p21", 45_672), ("n2", 45_673)] as [(String, UInt16)] {
      let slice = EndpointSliceManifest([.init(backend)]) { $0.ports = [.port(8080, number == .tcp ? "TCP" : "UDP")] }
      try cluster.apply(services: [service], slices: [slice])
      let service = SocketAddress(DualAddress.web[family], 80)
      let direct = SocketAddress(try cluster.host(backend)[family], 8080)
      for (offset, order) in [[service, direct], [direct, service]].enumerated() {
        let source = SocketAddress(node[family], port + UInt16(offset) * 10)
        let connections = try order.map { try node.connect(number, to: $0, from: source) }
        for _ in 0..<2 {
          for connection in connections {
            #expect(connection.exchange().reply?.server == backend, "\(source), \(order)")
          }
        }
      }
    }
  }
}
