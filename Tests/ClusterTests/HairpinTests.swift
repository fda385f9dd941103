import BPFTesting
import MartletNetworking
import Testing

/// Clients that a service sends back to where they come from.
@Suite(.requiresBPF, .cluster, .serialized) struct HairpinTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private static let service = ServiceManifest.nodePort.with {
    $0.ports = [.init(80, name: "t", nodePort: 30080), .init(80, "UDP", name: "u", nodePort: 30080)]
    $0.spec = ["externalIPs": .list(DualAddress.external.both.map { "\($0)" })]
  }

  private func apply(_ endpoint: EndpointSliceManifest.Endpoint) throws {
    let slice = EndpointSliceManifest([endpoint]) {
      $0.ports = [.port(8080, name: "t"), .port(8080, "UDP", name: "u")]
    }
    try cluster.apply(services: [Self.service], slices: [slice])
  }

  private var destinations: [(DualAddress, UInt16)] {
    [
      (.web, 80), (.external, 80), (cluster.node(1).address, 30080), (cluster.node(2).address, 30080),
    ]
  }

  @Test(arguments: Access.all) func podReachesItself(_ access: Access) throws {
    let pod = cluster.pod(1, 2)
    try apply("p12")
    for (address, port) in destinations {
      for number in [L4Protocol.tcp, .udp] {
        let answers = try pod.ask(address, port, access, number)
        #expect(answers.outcome == .answered(by: ["p12"]), "\(address[access.family]):\(port) \(number)")
        #expect(access.balancing == .sockets || !answers.peers.contains(pod[access.family]), "sees itself")
      }
    }
    #expect(try pod.ask(.web, 80, access, byteCount: 100_000).outcome == .answered(by: ["p12"]))
  }

  @Test(arguments: Access.all) func processOfTheNodeReachesItself(_ access: Access) throws {
    try apply("n1")
    for (address, port) in destinations {
      for number in [L4Protocol.tcp, .udp] {
        let answers = try cluster.node(1).ask(address, port, access, number)
        #expect(answers.outcome == .answered(by: ["n1"]), "\(address[access.family]):\(port) \(number)")
      }
    }
  }

  @Test(arguments: Access.all) func nodePortElsewhereLeadsBackToTheClientsOwnNode(_ access: Access) throws {
    for (backend, client) in [("p11", cluster.pod(1, 2)), ("n1", cluster.pod(1, 2)), ("p12", cluster.node(1))] {
      try apply(.init(backend))
      for number in [L4Protocol.tcp, .udp] {
        let answers = try client.ask(cluster.node(2).address, 30080, access, number)
        #expect(answers.outcome == .answered(by: [backend]), "\(client.name), \(number)")
        #expect(answers.senders.map(\.port) == [30080], "\(client.name), \(number)")
      }
    }
  }

  @Test(arguments: AddressFamily.allCases) func oneSourcePortServesEveryWayToTheBackend(_ family: AddressFamily) throws
  {
    try apply("p11")
    for (client, port) in [(cluster.pod(1, 2), 43_001), (cluster.client, 43_002)] as [(ClusterHost, UInt16)] {
      let source = SocketAddress(client[family], port)
      let nodes = (1...3).map { SocketAddress(cluster.node($0)[family], 30080) }
      let destinations = nodes + [SocketAddress(cluster.pod(1, 1)[family], 8080)]
      for number in [L4Protocol.tcp, .udp] {
        let connections = try destinations.map { try client.connect(number, to: $0, from: source) }
        for connection in connections + connections.reversed() {
          #expect(connection.exchange().reply?.server == "p11", "\(client.name), \(number)")
        }
      }
    }
  }
}
