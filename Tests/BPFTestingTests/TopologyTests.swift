import BPFTesting
import MartletNetworking
import Testing

@Suite(.requiresBPF) struct EchoTests {
  static let loopback: [IPAddress] = [IPAddress(127, 0, 0, 1), IPAddress(bits: 1)]

  @Test(arguments: loopback, [L4Protocol.tcp, .udp]) func serverTellsWhomItSaw(address: IPAddress, number: L4Protocol)
    throws
  {
    let namespace = try NetworkNamespace()
    let server = try EchoServer("blue", number, in: namespace)
    let destination = SocketAddress(address, server.port)
    let client = try EchoConnection(number, to: destination, in: namespace)
    let (outcome, source) = client.exchangeWithSource(byteCount: 700)
    let reply = try #require(outcome.reply, "\(outcome)")
    #expect(reply.server == "blue")
    #expect(reply.peer == client.localAddress)
    #expect(reply.local == destination)
    #expect(reply.byteCount == 700)
    #expect(source == destination)
    #expect(client.peerAddress == destination)
    #expect(client.exchange().reply?.byteCount == 1, "the same connection serves again")
  }

  @Test(arguments: loopback) func unconnectedDatagramIsAnswered(address: IPAddress) throws {
    let namespace = try NetworkNamespace()
    let server = try EchoServer("blue", .udp, in: namespace)
    let destination = SocketAddress(address, server.port)
    let client = try EchoConnection(.udp, to: destination, in: namespace, isConnected: false)
    #expect(client.exchangeWithSource().source == destination)
    #expect(client.peerAddress == nil)
  }

  @Test(arguments: loopback, [L4Protocol.tcp, .udp]) func nobodyListening(address: IPAddress, number: L4Protocol) throws
  {
    let namespace = try NetworkNamespace()
    #expect(try EchoConnection(number, to: SocketAddress(address, 9), in: namespace).exchange() == .refused)
  }

  @Test(arguments: [L4Protocol.tcp, .udp]) func silence(number: L4Protocol) throws {
    let namespace = try NetworkNamespace()
    try namespace.ip(
      "link add br0 type bridge", "link set br0 up", "addr add 10.0.0.1/24 dev br0",
      "link add port type veth peer name other", "link set port master br0", "link set port up", "link set other up",
      "neigh add 10.0.0.2 lladdr 02:00:00:00:00:09 dev br0 nud permanent")
    let start = ContinuousClock.now
    let client = try EchoConnection(
      number, to: SocketAddress(IPAddress(10, 0, 0, 2), 80), in: namespace, timeout: .milliseconds(150))
    #expect(client.exchange() == .timedOut)
    #expect((.milliseconds(100)..<(.seconds(3))).contains(ContinuousClock.now - start))
  }

  @Test(arguments: [L4Protocol.tcp, .udp]) func noRoute(number: L4Protocol) throws {
    let namespace = try NetworkNamespace()
    let destination = SocketAddress(IPAddress(10, 0, 0, 2), 80)
    #expect(try EchoConnection(number, to: destination, in: namespace).exchange() == .unreachable)
  }

  @Test func rejectingRouteIsProhibited() throws {
    let namespace = try NetworkNamespace()
    try namespace.ip("route add prohibit 10.0.0.2/32")
    let destination = SocketAddress(IPAddress(10, 0, 0, 2), 80)
    #expect(try EchoConnection(.tcp, to: destination, in: namespace).exchange() == .prohibited)
  }

  @Test func stoppedServerResetsOrCloses() throws {
    let namespace = try NetworkNamespace()
    var server: EchoServer? = try EchoServer("blue", .tcp, in: namespace)
    let destination = SocketAddress(IPAddress(127, 0, 0, 1), try #require(server?.port))
    let client = try EchoConnection(.tcp, to: destination, in: namespace)
    #expect(client.exchange().reply != nil)
    server = nil
    #expect([.closed, .reset].contains(client.exchange()))
    #expect(try EchoConnection(.tcp, to: destination, in: namespace).exchange() == .refused)
  }

  @Test func sourceAddressIsTheOneAskedFor() throws {
    let namespace = try NetworkNamespace()
    let server = try EchoServer("blue", .udp, in: namespace)
    let source = SocketAddress(IPAddress(127, 0, 0, 7), 1234)
    let client = try EchoConnection(
      .udp, to: SocketAddress(IPAddress(127, 0, 0, 9), server.port), from: source, in: namespace)
    let (outcome, from) = client.exchangeWithSource()
    #expect(outcome.reply?.peer == source)
    #expect(from?.address == IPAddress(127, 0, 0, 9), "the reply comes from the address that was asked")
  }

  @Test func absentSourceAddressIsAFaultOfTheTest() throws {
    let namespace = try NetworkNamespace()
    let error = try #require(throws: (any Error).self) {
      try EchoConnection(
        .udp, to: SocketAddress(IPAddress(127, 0, 0, 1), 1), from: SocketAddress(IPAddress(10, 9, 9, 9), 1),
        in: namespace)
    }
    #expect("\(error)".contains("10.9.9.9:1"))
  }
}

@Suite(.requiresBPF) struct TopologyTests {
  @Test(arguments: AddressFamily.allCases) func everyoneReachesEveryPodUntranslated(family: AddressFamily) throws {
    let topology = try Topology(nodes: 2, podsPerNode: 2)
    let pods = topology.nodes.flatMap(\.pods).map(\.host)
    let servers = try pods.enumerated().map {
      try EchoServer("pod\($0.offset)", .tcp, port: 8080, in: $0.element.namespace)
    }
    for client in [topology.client] + pods + topology.nodes.map(\.host) {
      for (pod, server) in zip(pods, servers) {
        let destination = SocketAddress(pod.address(family), 8080)
        let outcome = try EchoConnection(.tcp, to: destination, in: client.namespace).exchange()
        let reply = try #require(outcome.reply, "\(client.ipv4) to \(pod.ipv4): \(outcome)")
        #expect(reply.server == server.name)
        #expect(reply.peer.address == client.address(family))
        #expect(reply.local == destination)
      }
    }
  }

  @Test func addressesAreAsDocumented() throws {
    let topology = try Topology(nodes: 2, podsPerNode: 1)
    #expect(topology.client.ipv6.description == "fd50::100")
    #expect(topology.nodes[1].host.ipv4.description == "192.168.50.12")
    #expect(topology.nodes[1].host.ipv6.description == "fd50::12")
    #expect(topology.nodes[1].pods[0].host.ipv4.description == "10.65.2.11")
    #expect(topology.nodes[1].pods[0].host.ipv6.description == "fd65:0:0:2::11")
    #expect(topology.nodes[1].podCIDRv4.description == "10.65.2.0/24")
  }
}
