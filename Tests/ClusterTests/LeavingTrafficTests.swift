import BPFTesting
import MartletNetworking
import Testing

/// Pods that leave the cluster, with their node's address.
@Suite(.requiresBPF, .cluster, .serialized) struct MasqueradeTests {
  let cluster: Cluster
  private let servers: [EchoServer]

  init() throws {
    let cluster = try Cluster.current
    self.cluster = cluster
    servers = try [L4Protocol.tcp, .udp].map { try EchoServer("client", $0, port: 8080, in: cluster.client.namespace) }
  }

  @Test(arguments: AddressFamily.allCases) func podsTakeTheirNodesAddress(_ family: AddressFamily) throws {
    for number in [L4Protocol.tcp, .udp] {
      let answers = try cluster.pod(1, 2).ask(cluster.client.address, 8080, .packets(family), number, count: 3)
      #expect(answers.outcome == .answered(by: ["client"]), "\(number)")
      #expect(answers.peers == [cluster.node(1)[family]], "\(number)")
      #expect(answers.senders == [SocketAddress(cluster.client[family], 8080)], "\(number)")
    }
    let large = try cluster.pod(1, 2).ask(cluster.client.address, 8080, .packets(family), .udp, byteCount: 4_000)
    #expect(large.replies.map(\.byteCount) == [4_000])
  }

  @Test(arguments: AddressFamily.allCases) func podsWithOneSourcePortAreKeptApart(_ family: AddressFamily) throws {
    let server = SocketAddress(cluster.client[family], 8080)
    for number in [L4Protocol.tcp, .udp] {
      let connections = try (1...3).map { index in
        let pod = cluster.pod(1, index)
        return try pod.connect(number, to: server, from: SocketAddress(pod[family], 43_100))
      }
      for connection in connections + connections.reversed() {
        #expect(connection.exchange().reply?.server == "client", "\(number)")
      }
      let ports = connections.compactMap { $0.exchange().reply?.peer.port }
      #expect(Set(ports).count == 3, "\(number)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func pingsWithOneIdentifierAreKeptApart(_ family: AddressFamily) throws {
    let wires = try (1...2).map { try PacketSocket(cluster.pod(1, $0).host.interface) }
    for (index, wire) in wires.enumerated() {
      let ping = PacketBuilder()
        .ethernet(from: wire.interface.mac, to: cluster.topology.nodes[0].pods[index].nodeInterface.mac)
        .ip(from: cluster.pod(1, index + 1)[family], to: cluster.client[family])
        .icmp(.echoRequest(identifier: 77, sequence: UInt16(index + 1))).payload(count: 56)
      try wire.send(ping.bytes)
    }
    for (index, wire) in wires.enumerated() {
      let reply = try wire.receive { $0.icmp == .echoReply(identifier: 77, sequence: UInt16(index + 1)) }
      #expect(reply?.ip?.source == cluster.client[family])
      #expect(reply?.ip?.destination == cluster.pod(1, index + 1)[family])
      #expect(reply?.problems == [])
    }
  }

  @Test(arguments: AddressFamily.allCases) func podsAmongEachOtherKeepTheirAddresses(_ family: AddressFamily) throws {
    let answers = try cluster.pod(1, 2).ask(cluster.pod(2, 1).address, 8080, .packets(family))
    #expect(answers.peers == [cluster.pod(1, 2)[family]])
  }
}

/// Pods of other nodes by the tunnel, where the network has no routes to them.
@Suite(.requiresBPF, .cluster { $0.usesOverlay = true }, .serialized) struct OverlayTests {
  let cluster: Cluster

  init() throws {
    cluster = try Cluster.current
    for (index, node) in cluster.topology.nodes.enumerated() {
      for (number, other) in cluster.topology.nodes.enumerated() where number != index {
        let routes = [other.podCIDRv4, other.podCIDRv6].map { "route replace blackhole \($0)" }
        try node.host.namespace.ip(routes)
      }
    }
  }

  @Test(arguments: AddressFamily.allCases) func podsReachPodsOfOtherNodes(_ family: AddressFamily) throws {
    let (client, server) = (cluster.pod(1, 2), cluster.pod(2, 1))
    for number in [L4Protocol.tcp, .udp] {
      let answers = try client.ask(server.address, 8080, .packets(family), number)
      #expect(answers.outcome == .answered(by: ["p21"]), "\(number)")
      #expect(answers.peers == [client[family]], "\(number)")
    }
    let transfer = try client.ask(SocketAddress(server[family], 8080), byteCount: 1_000_000, timeout: .seconds(4))
    #expect(transfer.replies.map(\.byteCount) == [1_000_000])
  }

  /// What the host itself sends in pieces arrives as it was sent, in whichever order the other node gets them.
  @Test(arguments: AddressFamily.allCases) func piecesComeOutOfTheTunnelInAnyOrder(_ family: AddressFamily) throws {
    try cluster.apply([])
    let wire = try PacketSocket(cluster.node(1).host.interface)
    let pod = try PacketSocket(cluster.pod(2, 1).host.interface)
    for (index, order) in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]].enumerated() {
      let port = 41_500 + UInt16(index)
      let pieces = PacketBuilder().ethernet(from: cluster.node(1).host.interface.mac)
        .ip(from: cluster.node(1)[family], to: cluster.pod(2, 1)[family]).udp(from: port, to: 8080)
        .payload(count: 3_000).fragments(ofAtMost: 800, identification: UInt32(port))
      // What is held is dropped, as the sender sees it.
      for index in order { try? wire.send(pieces[index]) }
      let arrived = try (0..<pieces.count).compactMap { _ in
        try pod.receive { $0.ip?.source == cluster.node(1)[family] && $0.ip?.fragment != nil }
      }
      #expect(arrived.count == pieces.count, "\(order)")
    }
  }

  @Test(arguments: Access.all) func servicesReachPodsOfOtherNodes(_ access: Access) throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21", "p31"])])
    let answers = try cluster.pod(1, 2).ask(.web, 80, access, count: 24)
    #expect(answers.outcome == .answered(by: ["p21", "p31"]))
    #expect(answers.peers == [cluster.pod(1, 2)[access.family]])
    let outside = try cluster.client.ask(cluster.node(1).address, 30080, .packets(access.family), count: 24)
    #expect(outside.outcome == .answered(by: ["p21", "p31"]))
    #expect(outside.peers == [cluster.client[access.family]])
  }
}
