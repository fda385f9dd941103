import BPFTesting
import MartletNetworking
import Testing

/// What becomes of flows when the backends of their service change.
@Suite(.requiresBPF, .cluster, .serialized) struct FlowHygieneTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private static let udp = ServiceManifest.nodePort.with { $0.ports = [.init(80, "UDP", nodePort: 30080)] }

  private func apply(_ endpoints: [EndpointSliceManifest.Endpoint]) throws {
    try cluster.apply(services: [Self.udp], slices: [.init(endpoints) { $0.ports = [.port(8080, "UDP")] }])
  }

  /// One socket of each kind of client, by each kind of address.
  private func sockets(_ number: L4Protocol, _ family: AddressFamily) throws -> [(String, EchoConnection)] {
    let (pod, node, client) = (cluster.pod(1, 2), cluster.node(1), cluster.client)
    let web = SocketAddress(DualAddress.web[family], 80)
    let ports = (1...2).map { SocketAddress(cluster.node($0)[family], 30080) }
    let pairs = [
      (pod, web), (pod, ports[0]), (pod, ports[1]), (node, web), (node, ports[0]), (node, ports[1]), (client, ports[0]),
      (client, ports[1]),
    ]
    return try pairs.map { host, destination in
      ("\(host.name) to \(destination)", try host.connect(number, to: destination, timeout: .milliseconds(500)))
    }
  }

  @Test(arguments: AddressFamily.allCases) func udpClientsGetAnotherBackendAtOnce(_ family: AddressFamily) throws {
    try apply(["p21"])
    let sockets = try sockets(.udp, family)
    for (name, socket) in sockets { #expect(socket.exchange().reply?.server == "p21", "\(name)") }
    try apply(["p31"])
    for (name, socket) in sockets { #expect(socket.exchange().reply?.server == "p31", "\(name)") }
    try apply([])
    for (name, socket) in sockets { #expect(socket.exchange() == .refused, "\(name), without backends") }
    try apply(["p11"])
    for (name, socket) in sockets { #expect(socket.exchange().reply?.server == "p11", "\(name), back again") }
  }

  @Test(arguments: AddressFamily.allCases) func connectedSocketLeavesADeadBackend(_ family: AddressFamily) throws {
    try apply(["p21"])
    let socket = try cluster.pod(1, 2).connect(
      .udp, to: SocketAddress(DualAddress.web[family], 80), balancing: .sockets, timeout: .milliseconds(500))
    #expect(socket.exchange().reply?.server == "p21")
    try apply(["p31"])
    #expect(socket.exchange().reply?.server == "p31")
  }

  @Test(arguments: Access.all, [true, false])
  func udpFlowsToBackendsThatServeStay(_ access: Access, isConnected: Bool) throws {
    try apply(["p21", "p31"])
    let socket = try cluster.pod(1, 2).connect(
      .udp, to: SocketAddress(DualAddress.web[access.family], 80), balancing: access.balancing, isConnected: isConnected
    )
    let first = try #require(socket.exchange().reply).server
    try apply([.init(first), "p11"])
    #expect(socket.exchange().reply?.server == first)
    try apply([.terminating(first), "p11"])
    #expect(socket.exchange().reply?.server == first, "it serves while it terminates")
    try apply([.finished(first), "p11"])
    #expect(socket.exchange().reply?.server == "p11")
    // Another service may have the address later.
    try cluster.apply()
    try apply(["p12"])
    #expect(socket.exchange().reply?.server == "p12")
  }

  @Test(arguments: AddressFamily.allCases) func flowsOfAnotherPortAreLeftAlone(_ family: AddressFamily) throws {
    let service = ServiceManifest.clusterIP.with {
      $0.ports = [.init(80, "UDP", name: "a"), .init(81, "UDP", name: "b")]
    }
    let other = EndpointSliceManifest(["p11", "p21", "p31"]) {
      ($0.ports, $0.suffix) = ([.port(8081, "UDP", name: "b")], "-b")
    }
    let port = EndpointSliceManifest(["p21"]) { $0.ports = [.port(8080, "UDP", name: "a")] }
    try cluster.apply(services: [service], slices: [port, other])
    let sockets = try (0..<6).map { _ in
      try cluster.pod(1, 2).connect(.udp, to: SocketAddress(DualAddress.web[family], 81))
    }
    let before = sockets.map { $0.exchange().reply?.server }
    try cluster.apply(services: [service], slices: [other])
    #expect(sockets.map { $0.exchange().reply?.server } == before)
  }

  @Test(arguments: AddressFamily.allCases) func firstBackendEndsRefusal(_ family: AddressFamily) throws {
    try apply([])
    let sockets = try sockets(.udp, family)
    for (name, socket) in sockets { #expect(socket.exchange() == .refused, "\(name)") }
    try apply(["p21"])
    for (name, socket) in sockets { #expect(socket.exchange().reply?.server == "p21", "\(name)") }
  }

  @Test(arguments: AddressFamily.allCases) func tcpConnectionsOutliveTheirBackendsPlaceInTheService(
    _ family: AddressFamily
  ) throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let sockets = try sockets(.tcp, family)
    for (name, socket) in sockets { #expect(socket.exchange().reply?.server == "p21", "\(name)") }
    for endpoints in [[.terminating("p21")], ["p31"], []] as [[EndpointSliceManifest.Endpoint]] {
      try cluster.apply(services: [.nodePort], slices: [.init(endpoints)])
      for (name, socket) in sockets { #expect(socket.exchange().reply?.server == "p21", "\(name), \(endpoints)") }
    }
    try cluster.apply()
    for (name, socket) in sockets { #expect(socket.exchange().reply?.server == "p21", "\(name), without service") }
  }

  @Test(arguments: AddressFamily.allCases) func segmentOfAnUnknownConnectionIsDroppedNotPassedOn(
    _ family: AddressFamily
  ) throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let (client, node) = (cluster.client.host, cluster.node(1).host)
    let wire = try PacketSocket(client.interface)
    let stray = PacketBuilder().ethernet(from: client.interface.mac, to: node.interface.mac)
      .ip(from: client.address(family), to: node.address(family))
      .tcp(from: 43_210, to: 30_080, flags: .ack, sequence: 77, acknowledgement: 99).payload(count: 10)
    try wire.send(stray.bytes)
    let answer = try wire.receive(timeout: .milliseconds(300)) {
      $0.destinationPort == 43_210 || $0.icmp?.isError == true
    }
    #expect(answer == nil)
  }
}
