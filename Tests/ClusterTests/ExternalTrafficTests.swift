import BPFTesting
import MartletNetworking
import Testing

/// Traffic to external addresses in detail: who is bound by the external policy, and who the pod sees.
@Suite(.requiresBPF, .cluster, .serialized) struct ExternalTrafficTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private static let local = ServiceManifest.loadBalancer.with {
    $0.spec = ["externalTrafficPolicy": "Local", "externalIPs": .list(DualAddress.external.both.map { "\($0)" })]
  }

  @Test(arguments: AddressFamily.allCases) func localPolicyKeepsOutsideClientsOnTheNodeTheyReach(
    _ family: AddressFamily
  ) throws {
    try cluster.apply(services: [Self.local], slices: [.init(["p21"])])
    for address in [DualAddress.loadBalancer, .external] {
      try cluster.route(address[family], via: 2)
      let served = try cluster.client.ask(address, 80, .packets(family))
      #expect(served.outcome == .answered(by: ["p21"]))
      #expect(served.peers == [cluster.client[family]])
      #expect(served.senders == [SocketAddress(address[family], 80)])
      try cluster.route(address[family], via: 1)
      #expect(try cluster.client.ask(address, 80, .packets(family)).outcome == .dropped)
    }
  }

  @Test(arguments: Access.all) func localPolicyDoesNotBindPodsAndProcessesOfTheNode(_ access: Access) throws {
    try cluster.apply(services: [Self.local], slices: [.init(["p21"])])
    for address in [DualAddress.loadBalancer, .external] {
      let pod = try cluster.pod(1, 2).ask(address, 80, access)
      #expect(pod.outcome == .answered(by: ["p21"]))
      #expect(pod.peers == [cluster.pod(1, 2)[access.family]])
      #expect(try cluster.node(1).ask(address, 80, access).outcome == .answered(by: ["p21"]))
    }
    #expect(try cluster.pod(1, 2).ask(cluster.node(1).address, 30080, access).outcome == .answered(by: ["p21"]))
    #expect(try cluster.node(1).ask(cluster.node(1).address, 30080, access).outcome == .answered(by: ["p21"]))
  }

  @Test(arguments: Access.all) func nodePortOfAnotherNodeIsUnderThatNodesLocalPolicy(_ access: Access) throws {
    try cluster.apply(services: [Self.local], slices: [.init(["p21"])])
    #expect(try cluster.pod(1, 2).ask(cluster.node(2).address, 30080, access).outcome == .answered(by: ["p21"]))
    #expect(try cluster.pod(1, 2).ask(cluster.node(3).address, 30080, access).outcome == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func externalIPThatIsANodesAddressHasItsPortAlone(
    _ family: AddressFamily
  ) throws {
    let node = cluster.node(1)
    let owner = ServiceManifest.clusterIP.with { $0.spec = ["externalIPs": .list(node.address.both.map { "\($0)" })] }
    try cluster.apply(services: [owner], slices: [.init(["p21"])])
    for client in [cluster.client, cluster.node(1), cluster.node(2), cluster.pod(1, 2), cluster.pod(2, 2)] {
      #expect(try client.ask(node.address, 80, .packets(family)).outcome == .answered(by: ["p21"]), "\(client.name)")
      #expect(try client.ask(node.address, 8081, .packets(family)).outcome == .answered(by: ["n1"]), "\(client.name)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func externalIPGoesBeforeNodePort(_ family: AddressFamily) throws {
    let node = cluster.node(1)
    let owner = ServiceManifest.clusterIP.with {
      $0.ports = [.init(30080)]
      $0.spec = ["externalIPs": .list(node.address.both.map { "\($0)" })]
    }
    let other = ServiceManifest.nodePort.with { ($0.name, $0.clusterIPs) = ("other", DualAddress.other.both) }
    let slices: [EndpointSliceManifest] = [.init(["p21"]), .init(["p31"]) { $0.service = "other" }]
    // Two claim n1:30080, and the loser is told so.
    try cluster.apply(
      [owner.json, other.json] + slices.flatMap { try $0.json(cluster.host) }, allowingProblems: true)
    #expect(try cluster.client.ask(node.address, 30080, .packets(family), count: 4).outcome == .answered(by: ["p21"]))
    let elsewhere = try cluster.client.ask(cluster.node(2).address, 30080, .packets(family), count: 4)
    #expect(elsewhere.outcome == .answered(by: ["p31"]))
  }

  @Test(arguments: AddressFamily.allCases) func rangesWithTheNodeAdmitItByItsOwnLoadBalancerAddress(
    _ family: AddressFamily
  ) throws {
    let node = cluster.node(1)
    let service = ServiceManifest.loadBalancer.with {
      $0.spec = ["loadBalancerSourceRanges": ["192.168.50.0/24", "fd50::/64"]]
    }
    try cluster.apply(services: [service], slices: [.init(["p21"])])
    let address = DualAddress.loadBalancer[family]
    let prefix = "\(address)/\(family == .ipv4 ? 32 : 128)"
    try node.namespace.ip("address add \(prefix) dev lo")
    defer { try? node.namespace.ip("address del \(prefix) dev lo") }
    _ = try cluster.nodes[0].run { $0.networkChanged() }
    // The kernel gives it the balancer's address for its source; the pod's answer must not go to the balancer.
    let answers = try node.ask(.loadBalancer, 80, .packets(family))
    #expect(answers.outcome == .answered(by: ["p21"]))
    #expect(answers.peers == [node[family]])
  }

  @Test(arguments: AddressFamily.allCases) func errorsAboutTranslatedFlowsReachTheClientAsTheServices(
    _ family: AddressFamily
  ) throws {
    let service = ServiceManifest.nodePort.with {
      $0.ports = [.init(80, name: "t", nodePort: 30080), .init(80, "UDP", name: "u", nodePort: 30080)]
    }
    // Nobody listens on port 7: the backend's kernel says so.
    let slice = EndpointSliceManifest(["p21"]) { $0.ports = [.port(7, name: "t"), .port(7, "UDP", name: "u")] }
    try cluster.apply(services: [service], slices: [slice])
    for number in [L4Protocol.tcp, .udp] {
      let outside = try [1, 2].map { try cluster.client.ask(cluster.node($0).address, 30080, .packets(family), number) }
      #expect(outside.map(\.outcome) == [.refused, .refused], "\(number)")
      #expect(try cluster.pod(1, 2).ask(.web, 80, .packets(family), number).outcome == .refused, "\(number)")
      #expect(try cluster.node(1).ask(.web, 80, .packets(family), number).outcome == .refused, "\(number)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func backendsOutsideTheClusterAnswerThroughTheNode(
    _ family: AddressFamily
  ) throws {
    let server = try EchoServer("client", .tcp, port: 8080, in: cluster.client.namespace)
    defer { withExtendedLifetime(server) {} }
    let service = ServiceManifest.nodePort
    try cluster.apply(services: [service], slices: [.init([.init("client")])])
    for (asking, address, port) in [
      (cluster.client, cluster.node(1).address, 30080), (cluster.pod(1, 2), .web, 80), (cluster.node(1), .web, 80),
    ] as [(ClusterHost, DualAddress, UInt16)] {
      let answers = try asking.ask(address, port, .packets(family))
      #expect(answers.outcome == .answered(by: ["client"]), "\(asking.name)")
      #expect(answers.peers == [cluster.node(1)[family]], "\(asking.name)")
    }
  }
}
