import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking
import Testing

/// What is found for and against direct return in networks of several shapes.
@Suite(.requiresBPF) struct PreflightTests {
  private func node(_ name: String, _ address: IPAddress) -> Resource {
    .node(Node(name: name, addresses: [Node.Address(address)]))
  }

  /// Looks from a node 10.0.1.11/24 whose network is as `commands` make it.
  private func preflight(_ commands: String..., nodes: [Resource]) throws -> Preflight {
    let namespace = try NetworkNamespace()
    try namespace.ip(
      [
        "link add eth0 type veth peer name eth0-peer", "link set eth0-peer up", "link set eth0 up",
        "address add 10.0.1.11/24 dev eth0",
      ] + commands)
    return try namespace.run {
      try Preflight(nodeName: "n1", state: ClusterState([self.node("n1", IPAddress(10, 0, 1, 11))] + nodes))
    }
  }

  private func against(_ preflight: Preflight) -> [String] {
    preflight.checks.filter { !$0.passes && $0.name != "platform" }.map { "\($0.name): \($0.detail)" }
  }

  @Test func `Nothing is against nodes on one link`() throws {
    let found = try preflight(
      "route add default via 10.0.1.1",
      nodes: [node("n2", IPAddress(10, 0, 1, 12)), node("n3", IPAddress(10, 0, 1, 13))])
    #expect(against(found) == [])
    #expect(found.checks.map(\.name) == ["interface", "way out", "platform", "node n2", "node n3"])
  }

  @Test func `A router between nodes is`() throws {
    let found = try preflight(
      "route add default via 10.0.1.1",
      nodes: [node("n2", IPAddress(10, 0, 1, 12)), node("n3", IPAddress(10, 0, 2, 13))])
    #expect(
      against(found) == ["node n3: 10.0.2.13 is behind router 10.0.1.1, which may discard sources of another network"])
  }

  @Test func `A node that nothing leads to is`() throws {
    let found = try preflight(nodes: [node("n2", IPAddress(10, 0, 2, 13))])
    #expect(against(found) == ["node n2: no route to 10.0.2.13"])
  }

  @Test func `A node that is not among the objects cannot tell`() throws {
    let found = try Preflight(nodeName: "n9", state: ClusterState())
    #expect(against(found) == ["node: no Node n9 among the objects: add it"])
  }

  @Test func `Another way out than the one by which nodes know this one is`() throws {
    let namespace = try NetworkNamespace()
    try namespace.ip(
      "link add eth0 type veth peer name eth0-peer", "link set eth0-peer up", "link set eth0 up",
      "address add 10.0.1.11/24 dev eth0", "link add eth1 type veth peer name eth1-peer",
      "link set eth1-peer up", "link set eth1 up", "address add 192.0.2.11/24 dev eth1",
      "route add default via 192.0.2.1")
    let state = ClusterState([node("n1", IPAddress(10, 0, 1, 11)), node("n2", IPAddress(10, 0, 1, 12))])
    let found = try namespace.run { try Preflight(nodeName: "n1", state: state, interfaces: ["eth0"]) }
    #expect(
      against(found) == ["way out: replies to clients would leave through eth1, where requests do not come in"])
  }
}
