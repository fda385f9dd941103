import BPF
import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking
import Testing

/// Sockets on both ends, the data plane between them, and the server's word for whom it saw.
@Suite(.requiresBPF) struct RealTrafficTests {
  /// A node with two pods, a service that the second of them serves, and a data plane.
  private struct Cluster {
    let topology: Topology
    let pins: TemporaryBPFFilesystem
    let state: ClusterState
    let servers: [EchoServer]

    static let nodePort: UInt16 = 30_080

    init() throws {
      topology = try Topology()
      pins = try TemporaryBPFFilesystem()
      state = Self.describe(topology)
      let pods = topology.nodes[0].pods
      servers = try [L4Protocol.tcp, .udp].map {
        try EchoServer("server", $0, port: 8080, in: pods[1].host.namespace)
      }
      for family in AddressFamily.allCases {
        let (node, external) = (topology.nodes[0].host.address(family), Party.externalIP.address(family))
        try topology.client.namespace.ip("route add \(IPPrefix(external)) via \(node)")
      }
    }

    func startAgent() throws -> NodeAgent { try NodeAgent(on: topology.nodes[0], pins: pins, state: state) }

    private static func describe(_ topology: Topology) -> ClusterState {
      let node = topology.nodes[0]
      var resources: [Resource] = [
        .node(
          Node(
            name: "node1", addresses: AddressFamily.allCases.map { Node.Address(node.host.address($0)) },
            podPrefixes: [node.podCIDRv4, node.podCIDRv6]))
      ]
      for (index, pod) in node.pods.enumerated() {
        resources.append(
          .workload(
            Workload(
              name: NamespacedName(namespace: "default", name: "pod\(index + 1)"), node: "node1",
              addresses: [pod.host.ipv4, pod.host.ipv6])))
      }
      resources += service("web", servedBy: node.pods[1], clusterIP: .service, isExternal: true)
      return ClusterState(resources)
    }

    private static func service(
      _ name: String, servedBy pod: Topology.Pod, clusterIP: Party, isExternal: Bool
    ) -> [Resource] {
      let numbers: [(String, L4Protocol)] = [("tcp", .tcp), ("udp", .udp)]
      let families = AddressFamily.allCases
      let service = Service(
        name: NamespacedName(namespace: "default", name: name), kind: isExternal ? .nodePort : .clusterIP,
        clusterIPs: families.map(clusterIP.address),
        externalIPs: isExternal ? families.map(Party.externalIP.address) : [],
        ports: numbers.map {
          Service.Port(name: $0.0, protocol: $0.1, port: 80, nodePort: isExternal ? nodePort : nil)
        })
      return [.service(service)]
        + families.map { family in
          .endpointSlice(
            EndpointSlice(
              name: NamespacedName(namespace: "default", name: "\(name)-\(family)"), serviceName: name, family: family,
              endpoints: [EndpointSlice.Endpoint(address: pod.host.address(family), node: "node1")],
              ports: numbers.map { EndpointSlice.Port(name: $0.0, protocol: $0.1, port: 8080) }))
        }
    }

    func host(_ party: Party) -> Topology.Host {
      switch party {
      case .pod1: topology.nodes[0].pods[0].host
      case .pod2: topology.nodes[0].pods[1].host
      case .node: topology.nodes[0].host
      default: topology.client
      }
    }
  }

  /// Who asks whom, and by which address the server sees it.
  private static let paths: [(client: Party, asked: Party, port: UInt16, seen: Party)] = [
    (.pod1, .service, 80, .pod1), (.pod2, .service, 80, .node), (.node, .service, 80, .node),
    (.client, .node, Cluster.nodePort, .client), (.pod1, .node, Cluster.nodePort, .pod1),
    (.client, .externalIP, 80, .client), (.pod1, .externalIP, 80, .pod1),
    (.pod1, .pod2, 8080, .pod1), (.client, .pod2, 8080, .client), (.node, .pod2, 8080, .node),
  ]

  @Test(arguments: AddressFamily.allCases, [L4Protocol.tcp, .udp])
  func serverSeesTheClient(family: AddressFamily, number: L4Protocol) throws {
    let cluster = try Cluster()
    let agent = try cluster.startAgent()
    defer { withExtendedLifetime(agent) {} }
    for path in Self.paths {
      let asked =
        switch path.asked {
        case .node, .pod1, .pod2: cluster.host(path.asked).address(family)
        default: path.asked.address(family)
        }
      let connection = try EchoConnection(
        number, to: EndAddress(asked, path.port), in: cluster.host(path.client).namespace)
      // The third packet confirms the flow, those after it take the short way; long ones are segmented late.
      for length in [1, 700, 1200] {
        let outcome = connection.exchange(byteCount: length)
        #expect(outcome.reply?.byteCount == length, "\(path) \(outcome)")
        #expect(outcome.reply?.peer.address == cluster.host(path.seen).address(family), "\(path) \(outcome)")
        #expect(outcome.reply?.local.address == cluster.host(.pod2).address(family), "\(path) \(outcome)")
      }
    }
  }

  /// An IPv4 route may have an IPv6 address for its next hop, and then that is who is looked up on the link.
  @Test func nextHopOfTheOtherFamily() throws {
    let cluster = try Cluster()
    let (client, remote) = (cluster.topology.client, Party.remote.address(.ipv4))
    try client.namespace.ip("addr add \(IPPrefix(remote)) dev lo")
    try cluster.host(.node).namespace.ip("route add \(IPPrefix(remote)) via inet6 \(client.ipv6) dev eth0")
    let server = try EchoServer("remote", .tcp, port: 8080, in: client.namespace)
    let agent = try cluster.startAgent()
    defer { withExtendedLifetime((agent, server)) {} }
    let connection = try EchoConnection(.tcp, to: EndAddress(remote, 8080), in: cluster.host(.pod1).namespace)
    for _ in 0..<3 { #expect(connection.exchange(byteCount: 100).reply?.server == "remote") }
  }

  /// The kernel takes a tag off before our programs see the packet, and puts it on again where that leaves.
  @Test(arguments: AddressFamily.allCases) func taggedFramesGoNowhere(family: AddressFamily) throws {
    let cluster = try Cluster()
    let agent = try cluster.startAgent()
    defer { withExtendedLifetime(agent) {} }
    let (pod, client) = (cluster.topology.nodes[0].pods[0], cluster.topology.client)
    func frame(from sender: Topology.Host, to next: MACAddress, _ receiver: Topology.Host, _ port: UInt16, tagged: Bool)
      -> [UInt8]
    {
      let link = PacketBuilder().ethernet(from: sender.interface.mac, to: next)
      return (tagged ? link.vlan(5) : link).ip(from: sender.address(family), to: receiver.address(family))
        .udp(from: port, to: 9).payload(count: 20).bytes
    }
    let node = cluster.topology.nodes[0].host.interface
    for (sender, next, receiver) in [(pod.host, pod.nodeInterface.mac, client), (client, node.mac, pod.host)] {
      let (out, into) = (try PacketSocket(sender.interface), try PacketSocket(receiver.interface))
      for (port, tagged) in [(UInt16(40_001), true), (40_000, false)] {
        try out.send(frame(from: sender, to: next, receiver, port, tagged: tagged))
      }
      let first = try into.receive { $0.destinationPort == 9 }
      #expect(first?.sourcePort == 40_000, "from \(sender.interface.name), what has no tag alone")
    }
  }

  @Test(arguments: [L4Protocol.tcp, .udp]) func connectionsOutliveTheAgent(number: L4Protocol) throws {
    let cluster = try Cluster()
    var agent: NodeAgent? = try cluster.startAgent()
    let connections = try AddressFamily.allCases.map {
      try EchoConnection(number, to: EndAddress(Party.service.address($0), 80), in: cluster.host(.pod1).namespace)
    }
    func expectReplies(_ when: String) {
      for connection in connections {
        let outcome = connection.exchange(byteCount: 100)
        #expect(outcome.reply?.server == "server", "\(when): \(outcome)")
      }
    }
    for _ in 0..<3 { expectReplies("with the agent") }
    #expect(agent != nil)
    agent = nil
    expectReplies("without an agent")
    let fresh = try EchoConnection(
      number, to: EndAddress(Party.service.address(.ipv4), 80), in: cluster.host(.pod1).namespace)
    #expect(fresh.exchange().reply?.server == "server", "new connections need no agent either")
    agent = try cluster.startAgent()
    expectReplies("with the next agent")
    #expect(agent != nil)
  }

  @Test(arguments: AddressFamily.allCases) func nobodyServes(family: AddressFamily) throws {
    let cluster = try Cluster()
    let agent = try cluster.startAgent()
    defer { withExtendedLifetime(agent) {} }
    for number in [L4Protocol.tcp, .udp] {
      let asked = EndAddress(Party.service.address(family), 81)
      let connection = try EchoConnection(number, to: asked, in: cluster.host(.pod1).namespace)
      #expect(connection.exchange() == .refused, "\(number)")
    }
  }
}
