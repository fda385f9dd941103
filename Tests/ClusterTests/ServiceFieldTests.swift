import BPFTesting
import Networking
import Testing

@Suite(.requiresBPF, .cluster, .serialized) struct ServiceFieldTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  @Test(arguments: Access.all) func clusterIPIsAnsweredByEveryEndpoint(_ access: Access) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(["p11", "p21", "p31"])])
    for client in [cluster.pod(1, 2), cluster.node(1)] {
      let answers = try client.ask(
        SocketAddress(DualAddress.web[access.family], 80), count: 40, balancing: access.balancing)
      #expect(answers.outcome == .answered(by: ["p11", "p21", "p31"]))
      #expect(answers.peers == [client[access.family]])
    }
  }
}
