import BPFTesting
import MartletNetworking
import Testing

/// Clients outside whose backend is on another node than the one they reach: how packets and replies travel.
struct OtherNodeTraffic {
  let cluster: Cluster
  let family: AddressFamily

  /// A datagram to node 1's node port, as it leaves the client.
  func datagram(from port: UInt16, count: Int, dontFragment: Bool = true) -> PacketBuilder {
    PacketBuilder().ethernet(from: cluster.client.host.interface.mac, to: cluster.node(1).host.interface.mac)
      .ip(from: cluster.client[family], to: cluster.node(1)[family], dontFragment: dontFragment)
      .udp(from: port, to: 30_080).payload(count: count)
  }

  /// By whom the reply to a datagram is brought to the client, and whether node 1 receives anything of it.
  func returnOfReply(from port: UInt16) throws -> (sender: MACAddress?, isSeenByFirstNode: Bool) {
    let wire = try PacketSocket(cluster.client.host.interface)
    let ingress = try PacketSocket(cluster.node(1).host.interface)
    try wire.send(datagram(from: port, count: 20).bytes)
    let reply = try wire.receive { $0.destinationPort == port && $0.sourcePort == 30_080 }
    let backend = cluster.node(2).host.interface.mac
    let seen = try ingress.receive(timeout: .milliseconds(200)) {
      $0.ethernet?.source == backend && $0.transport != nil && $0.icmp == nil
    }
    return (reply?.ethernet?.source, seen != nil)
  }

  func expectClientsAddressAtThePod(
    _ addresses: [DualAddress] = [.external, .loadBalancer], _ location: SourceLocation = #_sourceLocation
  ) throws {
    let client = cluster.client
    for address in addresses {
      try cluster.route(address[family], via: 1)
      for number in [L4Protocol.tcp, .udp] {
        let answers = try client.ask(address, 80, .packets(family), number, count: 2)
        #expect(answers.outcome == .answered(by: ["p21"]), "\(address) \(number)", sourceLocation: location)
        #expect(answers.peers == [client[family]], "\(address) \(number)", sourceLocation: location)
        #expect(answers.senders == [SocketAddress(address[family], 80)], sourceLocation: location)
      }
    }
    for number in [L4Protocol.tcp, .udp] {
      let answers = try client.ask(cluster.node(1).address, 30080, .packets(family), number, count: 2)
      #expect(answers.outcome == .answered(by: ["p21"]), "\(number)", sourceLocation: location)
      #expect(answers.peers == [client[family]], "\(number)", sourceLocation: location)
    }
  }

  /// A service at every kind of external address, whose one backend is on node 2.
  func apply(annotations: [String: JSON] = [:]) throws {
    let service = ServiceManifest.loadBalancer.with {
      $0.ports = [.init(80, name: "t", nodePort: 30080), .init(80, "UDP", name: "u", nodePort: 30080)]
      $0.spec = ["externalIPs": .list(DualAddress.external.both.map { "\($0)" })]
      $0.annotations = annotations
    }
    let slice = EndpointSliceManifest(["p21"]) { $0.ports = [.port(8080, name: "t"), .port(8080, "UDP", name: "u")] }
    try cluster.apply(services: [service], slices: [slice])
  }
}

/// By the tunnel, which replies return through.
@Suite(.requiresBPF, .cluster, .serialized) struct TunnelTests {
  private func traffic(_ family: AddressFamily) throws -> OtherNodeTraffic {
    let traffic = OtherNodeTraffic(cluster: try Cluster.current, family: family)
    try traffic.apply()
    return traffic
  }

  @Test(arguments: AddressFamily.allCases) func podSeesTheClient(_ family: AddressFamily) throws {
    try traffic(family).expectClientsAddressAtThePod()
  }

  @Test(arguments: AddressFamily.allCases) func repliesReturnThroughTheNodeAsked(_ family: AddressFamily) throws {
    let traffic = try traffic(family)
    let (sender, isSeen) = try traffic.returnOfReply(from: 41_001)
    #expect(sender == traffic.cluster.node(1).host.interface.mac)
    #expect(isSeen)
  }

  @Test(arguments: AddressFamily.allCases) func whatDoesNotFitTheTunnelIsAnsweredByTheServicesAddress(
    _ family: AddressFamily
  ) throws {
    let traffic = try traffic(family)
    let wire = try PacketSocket(traffic.cluster.client.host.interface)
    let datagram = traffic.datagram(from: 41_002, count: family == .ipv4 ? 1_472 : 1_452)
    #expect(datagram.bytes.count == 1_514)
    try wire.send(datagram.bytes)
    let error = try #require(try wire.receive { $0.icmp?.isError == true })
    // 50 bytes are the tunnel's: Ethernet, VXLAN, UDP and IPv4.
    #expect(error.icmp == .tooBig(mtu: 1_450))
    #expect(error.ip?.source == traffic.cluster.node(1)[family])
    #expect(error.problems.isEmpty, "\(error.problems)")
  }

  @Test(arguments: AddressFamily.allCases) func largeTransferCompletes(_ family: AddressFamily) throws {
    let traffic = try traffic(family)
    let answers = try traffic.cluster.client.ask(
      SocketAddress(traffic.cluster.node(1)[family], 30080), byteCount: 1_000_000, timeout: .seconds(4))
    #expect(answers.replies.map(\.byteCount) == [1_000_000])
  }

  @Test(arguments: AddressFamily.allCases) func fragmentsReachTheBackendAtTheFirstTry(_ family: AddressFamily) throws {
    let traffic = try traffic(family)
    for node in 1...2 {
      let answers = try traffic.cluster.client.ask(
        SocketAddress(traffic.cluster.node(node)[family], 30080), .udp, byteCount: 5_000)
      #expect(answers.replies.map(\.byteCount) == [5_000], "by node \(node)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func fragmentsReachTheBackendInAnyOrder(_ family: AddressFamily) throws {
    let traffic = try traffic(family)
    let wire = try PacketSocket(traffic.cluster.client.host.interface)
    for (index, order) in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]].enumerated() {
      let port = 41_100 + UInt16(index)
      let fragments = traffic.datagram(from: port, count: 3_000, dontFragment: false)
        .fragments(ofAtMost: 800, identification: UInt32(port))
      try #require(fragments.count == 4)
      for index in order { try wire.send(fragments[index]) }
      let reply = try wire.receive { $0.destinationPort == port }
      #expect(reply.map { String(decoding: $0.payload, as: UTF8.self) }?.hasSuffix(" 3000\n") == true, "\(order)")
    }
  }

  @Test func outerHeaderInIPv6HasAValidChecksum() throws {
    let cluster = try Cluster.current
    let traffic = OtherNodeTraffic(cluster: cluster, family: .ipv6)
    let nodes = (0..<3).map { index -> JSON in
      let address = cluster.node(index + 1).address.v6
      return cluster.nodeObject(index).merging([
        "status": ["addresses": [["type": "InternalIP", "address": "\(address)"]]]
      ])
    }
    let service = ServiceManifest.nodePort.with { $0.ports = [.init(80, "UDP", nodePort: 30080)] }
    let slice = EndpointSliceManifest(["p21"]) { $0.ports = [.port(8080, "UDP")] }
    try cluster.apply(services: [service], slices: [slice], others: nodes)
    // Checksums are then written by the sender rather than left to a device that does not exist.
    _ = try cluster.node(1).namespace.command("ethtool", "-K", "eth0", "tx", "off")
    let tunnel = try PacketSocket(cluster.node(2).host.interface)
    let (sender, _) = try traffic.returnOfReply(from: 41_003)
    #expect(sender == cluster.node(1).host.interface.mac, "answered")
    let packet = try #require(try tunnel.receive { $0.destinationPort == 14_789 })
    #expect(packet.ip?.source == cluster.node(1)[.ipv6])
    #expect(packet.problems.isEmpty, "\(packet.problems)")
  }
}

/// Directly, where the service says so and the client is not excepted.
@Suite(.requiresBPF, .cluster, .serialized) struct DirectReturnTests {
  private func traffic(_ family: AddressFamily) throws -> OtherNodeTraffic {
    let traffic = OtherNodeTraffic(cluster: try Cluster.current, family: family)
    try traffic.apply(annotations: ["martlet.dev/forwarding": "dsr"])
    return traffic
  }

  @Test(arguments: AddressFamily.allCases) func podSeesTheClient(_ family: AddressFamily) throws {
    try traffic(family).expectClientsAddressAtThePod()
  }

  @Test(arguments: AddressFamily.allCases) func repliesDoNotPassTheNodeAsked(_ family: AddressFamily) throws {
    let traffic = try traffic(family)
    let (sender, isSeen) = try traffic.returnOfReply(from: 41_004)
    #expect(sender == traffic.cluster.node(2).host.interface.mac)
    #expect(!isSeen)
  }

  @Test(arguments: AddressFamily.allCases) func largeTransferCompletes(_ family: AddressFamily) throws {
    let traffic = try traffic(family)
    let answers = try traffic.cluster.client.ask(
      SocketAddress(traffic.cluster.node(1)[family], 30080), byteCount: 1_000_000, timeout: .seconds(4))
    #expect(answers.replies.map(\.byteCount) == [1_000_000])
  }
}

/// Clients excepted from direct return.
@Suite(
  .requiresBPF,
  .cluster {
    $0.directReturnExclusions = [
      IPPrefix(IPAddress(192, 168, 50, 0), length: 24), IPPrefix(IPAddress(high: 0xfd50 << 48, low: 0), length: 64),
    ]
  }, .serialized) struct DirectReturnExclusionTests
{
  @Test(arguments: AddressFamily.allCases) func repliesToThemReturnThroughTheNodeAsked(_ family: AddressFamily) throws {
    let traffic = OtherNodeTraffic(cluster: try Cluster.current, family: family)
    try traffic.apply(annotations: ["martlet.dev/forwarding": "dsr"])
    try traffic.expectClientsAddressAtThePod()
    let (sender, _) = try traffic.returnOfReply(from: 41_005)
    #expect(sender == traffic.cluster.node(1).host.interface.mac)
  }
}
