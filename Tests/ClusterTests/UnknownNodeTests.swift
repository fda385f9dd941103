import BPFTesting
import MartletNetworking
import Testing

/// Endpoints on a node of which there is no object, or none yet: the tunnel does not lead there.
@Suite(.requiresBPF, .cluster, .serialized) struct UnknownNodeTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  @Test(arguments: AddressFamily.allCases)
  func `An endpoint on a node without an object is reached through every node's port`(_ family: AddressFamily) throws {
    let service = ServiceManifest.nodePort.with {
      $0.ports = [.init(80, name: "t", nodePort: 30080), .init(80, "UDP", name: "u", nodePort: 30080)]
    }
    func apply(node: JSON) throws {
      let slice = EndpointSliceManifest([.init("p21", fields: ["nodeName": node])]) {
        $0.ports = [.port(8080, name: "t"), .port(8080, "UDP", name: "u")]
      }
      try cluster.apply(services: [service], slices: [slice])
    }
    // The pod sees the node that was asked, as replies have to return there: or the client, once it is known where it is.
    for (node, isKnown) in [("n2" as JSON, true), ("gone", false), ("n2", true), (nil, false)] {
      try apply(node: node)
      for number in [L4Protocol.tcp, .udp] {
        for asked in [1, 3] {
          let target = cluster.node(asked)
          let answers = try cluster.client.ask(target.address, 30080, .packets(family), number, count: 2)
          let comment: Comment = "\(number) by \(target.name), endpoint on \(node)"
          #expect(answers.outcome == .answered(by: ["p21"]), comment)
          #expect(answers.peers == [isKnown ? cluster.client[family] : target[family]], comment)
          #expect(answers.senders == [SocketAddress(target[family], 30080)], comment)
        }
      }
      let inside = try cluster.pod(1, 2).ask(.web, 80, .packets(family))
      #expect(inside.outcome == .answered(by: ["p21"]), "endpoint on \(node)")
    }
  }
}
