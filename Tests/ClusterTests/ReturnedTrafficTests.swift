import BPFTesting
import MartletKubernetes
import MartletNetworking
import Testing

/// A pod asks for a service by another node's port, and a backend of its own node serves it.
@Suite(.requiresBPF, .cluster, .serialized) struct ReturnedTrafficTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private func apply(to backends: [EndpointSliceManifest.Endpoint], dsr: Bool = false, _ policies: [JSON] = []) throws {
    let service = ServiceManifest.nodePort.with {
      $0.ports = [.init(80, name: "t", nodePort: 30080), .init(80, "UDP", name: "u", nodePort: 30080)]
      if dsr { $0.annotations = ["martlet.dev/forwarding": "dsr"] }
    }
    let slice = EndpointSliceManifest(backends) { $0.ports = [.port(8080, name: "t"), .port(8080, "UDP", name: "u")] }
    try cluster.apply(services: [service], slices: [slice], others: policies)
  }

  private func ask(_ pod: ClusterHost, _ family: AddressFamily, _ number: L4Protocol = .tcp) throws -> Answers {
    try pod.ask(SocketAddress(cluster.node(1)[family], 30080), number, count: 3)
  }

  @Test(arguments: AddressFamily.allCases, [false, true])
  func backendSeesThePod(_ family: AddressFamily, dsr: Bool) throws {
    try apply(to: ["p22"], dsr: dsr)
    for number in [L4Protocol.tcp, .udp] {
      let answers = try ask(cluster.pod(2, 1), family, number)
      #expect(answers.outcome == .answered(by: ["p22"]), "\(number)")
      #expect(answers.peers == [cluster.pod(2, 1)[family]], "\(number)")
      #expect(answers.senders == [SocketAddress(cluster.node(1)[family], 30080)], "\(number)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func podMayBeItsOwnBackend(_ family: AddressFamily) throws {
    let closed = PolicyManifest.kubernetes("closed", pod: "p21", ["policyTypes": ["Ingress"]])
    try apply(to: ["p21"], [closed])
    let answers = try ask(cluster.pod(2, 1), family)
    #expect(answers.outcome == .answered(by: ["p21"]))
    #expect(answers.peers == [cluster.node(2)[family]])
  }

  @Test(arguments: AddressFamily.allCases) func policiesSeeThePod(_ family: AddressFamily) throws {
    let from: (String) -> JSON = { pod in
      let peers: JSON = [["podSelector": ["matchLabels": ["pod": .string(pod)]]]]
      return PolicyManifest.kubernetes("p22", pod: "p22", ["ingress": [["from": peers]]])
    }
    try apply(to: ["p22"], [from("p21")])
    let target = SocketAddress(cluster.node(1)[family], 30080)
    let running = try cluster.pod(2, 1).connect(to: target)
    #expect(running.exchange().reply?.server == "p22")
    #expect(try ask(cluster.pod(2, 3), family).outcome == .dropped)
    try apply(to: ["p22"], [from("p23")])
    #expect(running.exchange().reply == nil)
    #expect(try ask(cluster.pod(2, 1), family).outcome == .dropped)
    #expect(try ask(cluster.pod(2, 3), family).outcome == .answered(by: ["p22"]))
  }

  @Test(arguments: AddressFamily.allCases) func egressIsJudgedWhereThePacketLeaves(_ family: AddressFamily) throws {
    let block = PolicyManifest.block(cluster.node(1)[family])
    let only = PolicyManifest.kubernetes(
      "p21", pod: "p21",
      ["policyTypes": ["Egress"], "egress": [["to": [["ipBlock": ["cidr": .string(block)]]]]]])
    try apply(to: ["p22"], [only])
    #expect(try ask(cluster.pod(2, 1), family).outcome == .answered(by: ["p22"]))
    #expect(try cluster.pod(2, 1).ask(SocketAddress(cluster.pod(2, 2)[family], 8080)).outcome == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func largeTransferCompletes(_ family: AddressFamily) throws {
    try apply(to: ["p22"])
    let answers = try cluster.pod(2, 1).ask(
      SocketAddress(cluster.node(1)[family], 30080), byteCount: 1_000_000, timeout: .seconds(4))
    #expect(answers.replies.map(\.byteCount) == [1_000_000])
  }

  /// Only what leaves can return: what a pod's own node serves does not.
  @Test(arguments: AddressFamily.allCases) func othersCannotJoinAFlowThatStays(_ family: AddressFamily) throws {
    let service = ServiceManifest.loadBalancer.with { $0.ports = [.init(80, "UDP", nodePort: 30080)] }
    let slice = EndpointSliceManifest(["p22"]) { $0.ports = [.port(8080, "UDP")] }
    try cluster.apply(services: [service], slices: [slice])
    let asked = SocketAddress(DualAddress.loadBalancer[family], 80)
    let socket = try cluster.pod(2, 1).connect(.udp, to: asked, from: SocketAddress(cluster.pod(2, 1)[family], 41_400))
    #expect(socket.exchange().reply?.server == "p22")
    let wire = try PacketSocket(cluster.client.host.interface)
    let backend = try PacketSocket(cluster.pod(2, 2).host.interface)
    let forged = PacketBuilder()
      .ethernet(from: cluster.client.host.interface.mac, to: cluster.node(1).host.interface.mac)
      .ip(from: cluster.pod(2, 1)[family], to: asked.address).udp(from: 41_400, to: 80).payload("forged")
    try wire.send(forged.bytes)
    let received = try backend.receive(timeout: .milliseconds(300)) { $0.payload.starts(with: "forged".utf8) }
    #expect(received == nil)
  }

  /// Only what the pod has sent can return.
  @Test(arguments: AddressFamily.allCases) func othersCannotSendAsThePod(_ family: AddressFamily) throws {
    try apply(to: ["p22"])
    let wire = try PacketSocket(cluster.client.host.interface)
    let backend = try PacketSocket(cluster.pod(2, 2).host.interface)
    let forged = PacketBuilder()
      .ethernet(from: cluster.client.host.interface.mac, to: cluster.node(1).host.interface.mac)
      .ip(from: cluster.pod(2, 1)[family], to: cluster.node(1)[family]).udp(from: 41_300, to: 30_080).payload("x")
    try wire.send(forged.bytes)
    #expect(try backend.receive(timeout: .milliseconds(300)) { $0.sourcePort == 41_300 } == nil)
    let counters = try cluster.nodes[1].run { try $0.maps.readCounters() } ?? []
    #expect(counters.contains { $0.name == "drop_source_address" && $0.packets > 0 })
  }
}

/// Nodes that take nothing of their pods.
@Suite(.requiresBPF, .cluster { $0.configuration.workloadToHostAction = .drop }, .serialized)
struct ReturnedToNodeTests {
  /// What a pod may not send to its node it may not send there by way of another.
  @Test(arguments: AddressFamily.allCases) func nodeTakesNoMoreOfItsPods(_ family: AddressFamily) throws {
    let cluster = try Cluster.current
    try cluster.apply(services: [.nodePort], slices: [.init(["n2"])])
    let nodePort = SocketAddress(cluster.node(1)[family], 30080)
    #expect(try cluster.pod(2, 1).ask(SocketAddress(cluster.node(2)[family], 8080)).outcome == .dropped)
    #expect(try cluster.pod(2, 1).ask(nodePort).outcome == .dropped)
    #expect(try cluster.pod(3, 1).ask(nodePort).outcome == .answered(by: ["n2"]))
  }
}

/// Where pods of other nodes are reached through the tunnel.
@Suite(.requiresBPF, .cluster { $0.usesOverlay = true }, .serialized) struct ReturnedOverlayTrafficTests {
  @Test(arguments: AddressFamily.allCases) func backendSeesThePod(_ family: AddressFamily) throws {
    let cluster = try Cluster.current
    try cluster.apply(services: [.nodePort], slices: [.init(["p22"])])
    let answers = try cluster.pod(2, 1).ask(SocketAddress(cluster.node(1)[family], 30080), count: 3)
    #expect(answers.outcome == .answered(by: ["p22"]))
    #expect(answers.peers == [cluster.pod(2, 1)[family]])
  }
}
