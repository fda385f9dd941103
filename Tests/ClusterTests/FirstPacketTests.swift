import BPFTesting
import MartletNetworking
import Testing

/// The first packet to a service whose backend is behind somebody whose link address nobody knows yet.
@Suite(.requiresBPF, .cluster, .serialized) struct FirstPacketTests {
  let cluster: Cluster

  init() throws {
    cluster = try Cluster.current
    let service = ServiceManifest.nodePort.with { $0.ports = [.init(80, "UDP", nodePort: 30080)] }
    try cluster.apply(services: [service], slices: [.init(["p21"]) { $0.ports = [.port(8080, "UDP")] }])
  }

  /// Nobody knows anybody's link address any more, but for the pods' and their node's.
  private func forgetNeighbours() throws {
    for namespace in cluster.nodes.map(\.host.namespace) + [cluster.client.namespace] {
      try namespace.ip("neigh flush dev eth0")
    }
  }

  private func expectAnswer(_ client: ClusterHost, _ address: DualAddress, _ port: UInt16, _ access: Access) throws {
    try forgetNeighbours()
    // One datagram, which nobody sends again.
    let answers = try client.ask(address, port, access, .udp)
    #expect(answers.outcome == .answered(by: ["p21"]), "\(client.name) to \(address[access.family]):\(port)")
    #expect(answers.senders == [SocketAddress(address[access.family], port)])
  }

  @Test(arguments: Access.all) func `A datagram of a node's process arrives`(_ access: Access) throws {
    for node in [1, 3] {
      let client = cluster.node(node)
      try expectAnswer(client, .web, 80, access)
      for target in 1...3 { try expectAnswer(client, cluster.node(target).address, 30080, access) }
    }
  }

  @Test(arguments: Access.all) func `A pod's datagram arrives`(_ access: Access) throws {
    try expectAnswer(cluster.pod(1, 2), .web, 80, access)
  }

  @Test(arguments: AddressFamily.allCases) func `A client's datagram arrives`(_ family: AddressFamily) throws {
    for target in 1...3 { try expectAnswer(cluster.client, cluster.node(target).address, 30080, .packets(family)) }
  }
}
