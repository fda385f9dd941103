import BPFTesting
import MartletNetworking
import Testing

/// Which addresses of a node have its node ports.
@Suite(.requiresBPF, .cluster, .serialized) struct NodePortAddressTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  @Test(arguments: Access.all) func nodeReachesNodePortsOfItsOwnAndOfOtherNodes(_ access: Access) throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    for target in 1...3 {
      let answers = try cluster.node(1).ask(cluster.node(target).address, 30080, access)
      #expect(answers.outcome == .answered(by: ["p21"]), "node \(target)")
      #expect(answers.senders == [SocketAddress(cluster.node(target)[access.family], 30080)], "node \(target)")
    }
  }

  @Test(arguments: Access.all) func loopbackHasNoNodePortsUnlessAskedFor(_ access: Access) throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let loopback = DualAddress("127.0.0.1", "::1")
    #expect(try cluster.node(1).ask(loopback, 30080, access).outcome == .refused)
  }

  @Test(arguments: AddressFamily.allCases) func addressesComeAndGoWithTheirNodePorts(_ family: AddressFamily) throws {
    let node = cluster.node(1)
    let late = DualAddress("192.168.50.71", "fd50::71")
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let prefix = "\(late[family])/\(family == .ipv4 ? "32" : "128") dev eth0"
    try node.namespace.ip("address add \(prefix)\(family == .ipv6 ? " nodad" : "")")
    #expect(try cluster.nodes[0].run { $0.networkChanged() }?.isEmpty == true)
    for client in [cluster.client, cluster.pod(1, 2), cluster.pod(3, 1), node] {
      let answers = try client.ask(late, 30080, .packets(family))
      #expect(answers.outcome == .answered(by: ["p21"]), "\(client.name)")
      #expect(answers.senders == [SocketAddress(late[family], 30080)], "\(client.name)")
    }
    try node.namespace.ip("address del \(prefix)")
    #expect(try cluster.nodes[0].run { $0.networkChanged() }?.isEmpty == true)
    #expect(try cluster.pod(1, 2).ask(late, 30080, .packets(family)).replies.isEmpty)
  }

  /// Nodes that list addresses of one family have node ports in the other as well, at what the kernel has.
  @Test(arguments: AddressFamily.allCases) func familyThatNodesDoNotListIsServed(_ family: AddressFamily) throws {
    let listed: AddressFamily = family == .ipv4 ? .ipv6 : .ipv4
    let nodes = (0..<3).map { index -> JSON in
      let address = cluster.node(index + 1)[listed]
      return cluster.nodeObject(index).merging([
        "status": ["addresses": [["type": "InternalIP", "address": "\(address)"]]]
      ])
    }
    let service = ServiceManifest.nodePort.with {
      $0.ports = [.init(80, name: "t", nodePort: 30080), .init(80, "UDP", name: "u", nodePort: 30080)]
    }
    let slice = EndpointSliceManifest(["p21"]) { $0.ports = [.port(8080, name: "t"), .port(8080, "UDP", name: "u")] }
    try cluster.apply(services: [service], slices: [slice], others: nodes)
    for target in 1...3 {
      let answers = try cluster.client.ask(SocketAddress(cluster.node(target)[family], 30080))
      #expect(answers.outcome == .answered(by: ["p21"]), "node \(target)")
      #expect(answers.peers == [cluster.client[family]], "node \(target)")
      // Nobody tells the other nodes which addresses this one has: what they send back is recognised as its own.
      for client in [cluster.pod(2, 2), cluster.node(2), cluster.pod(1, 1), cluster.node(3)] {
        for number in [L4Protocol.tcp, .udp] {
          let answers = try client.ask(SocketAddress(cluster.node(target)[family], 30080), number)
          #expect(answers.outcome == .answered(by: ["p21"]), "\(client.name) to node \(target), \(number)")
        }
      }
    }
  }

  @Test(arguments: AddressFamily.allCases) func releasedNodePortIsFreeForAProcess(_ family: AddressFamily) throws {
    let service = ServiceManifest.nodePort.with { $0.ports = [.init(80, nodePort: 9090)] }
    try cluster.apply(services: [service], slices: [.init(["p21"])])
    let node = cluster.node(1)
    #expect(try cluster.client.ask(node.address, 9090, .packets(family)).outcome == .answered(by: ["p21"]))
    try cluster.apply(services: [.clusterIP], slices: [.init(["p21"])])
    #expect(try cluster.client.ask(node.address, 9090, .packets(family)).outcome == .answered(by: ["n1"]))
  }
}

/// Node ports on listed addresses: one of the node's own in IPv4, and loopback, none in IPv6.
@Suite(
  .requiresBPF,
  .cluster {
    $0.configuration.nodePortAddresses = .within([
      IPPrefix(IPAddress(192, 168, 50, 0), length: 24), IPPrefix(IPAddress(127, 0, 0, 0), length: 8),
    ])
  }, .serialized) struct ListedNodePortAddressTests
{
  @Test func familyThatNoPrefixIsOfHasNoNodePorts() throws {
    let cluster = try Cluster.current
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let node = cluster.node(1)
    #expect(try cluster.client.ask(node.address, 30080, .packets(.ipv4)).outcome == .answered(by: ["p21"]))
    #expect(try cluster.client.ask(node.address, 30080, .packets(.ipv6)).outcome == .refused)
  }

  @Test func loopbackHasNodePortsWhereListed() throws {
    let cluster = try Cluster.current
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let access = Access(family: .ipv4, balancing: .sockets)
    let answers = try cluster.node(1).ask(DualAddress("127.0.0.1", "::1"), 30080, access)
    #expect(answers.outcome == .answered(by: ["p21"]))
  }
}

/// Node ports on an address of each node that is not the one that other nodes know it by.
@Suite(
  .requiresBPF,
  .cluster { $0.configuration.nodePortAddresses = .within([IPPrefix(IPAddress(192, 168, 60, 0), length: 24)]) },
  .serialized) struct SecondaryNodePortAddressTests
{
  @Test func theyReachBackendsOfOtherNodes() throws {
    let cluster = try Cluster.current
    try cluster.client.namespace.ip("address add 192.168.60.100/24 dev eth0")
    for number in 1...3 {
      try cluster.node(number).namespace.ip("address add 192.168.60.1\(number)/24 dev eth0")
      #expect(try cluster.nodes[number - 1].run { $0.networkChanged() }?.isEmpty == true)
    }
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    for number in UInt8(1)...3 {
      let answers = try cluster.client.ask(SocketAddress(IPAddress(192, 168, 60, 10 + number), 30080))
      #expect(answers.outcome == .answered(by: ["p21"]), "node \(number)")
      let primary = try cluster.client.ask(SocketAddress(cluster.node(Int(number))[.ipv4], 30080))
      #expect(primary.outcome == .refused, "node \(number)")
    }
  }
}
