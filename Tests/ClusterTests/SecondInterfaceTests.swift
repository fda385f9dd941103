import BPFTesting
import MartletNetworking
import Testing

/// A host endpoint of an interface that leads neither to the other nodes nor by a default route.
@Suite(.requiresBPF, .cluster, .serialized) struct SecondInterfaceTests {
  private let cluster: Cluster
  private let network: SecondNetwork

  init() throws {
    cluster = try Cluster.current
    try cluster.apply()
    network = try SecondNetwork(cluster)
  }

  /// A host beyond `eth1` of node 1, who answers. Both go with this object.
  private final class SecondNetwork: Sendable {
    let namespace: NetworkNamespace
    private let cluster: Cluster
    private let servers: [EchoServer]
    /// The node's address there, and the other host's.
    static let near = DualAddress("10.77.0.1", "fd77::1")
    static let far = DualAddress("10.77.0.2", "fd77::2")

    init(_ cluster: Cluster) throws {
      let node = cluster.node(1).namespace
      let namespace = try NetworkNamespace()
      try node.addVeth("eth1", peer: namespace, "eth0")
      for (host, name, address) in [(node, "eth1", Self.near), (namespace, "eth0", Self.far)] {
        try host.ip("addr add \(address.v4)/24 dev \(name)", "addr add \(address.v6)/64 dev \(name) nodad")
      }
      try namespace.ip(Self.near.both.map { "route add default via \($0)" })
      servers = [
        try EchoServer("outside", .tcp, port: 8080, in: namespace), try EchoServer("n1", .tcp, port: 22, in: node),
      ]
      (self.namespace, self.cluster) = (namespace, cluster)
      try tell()
    }

    func tell() throws { #expect(try cluster.nodes[0].run { $0.networkChanged() }?.isEmpty == true) }

    deinit {
      try? cluster.node(1).namespace.ip("link del eth1")
      try? tell()
    }

    /// Asks as the host out there.
    func ask(_ address: IPAddress, _ port: UInt16 = 8080) throws -> EchoOutcome {
      try EchoConnection(.tcp, to: SocketAddress(address, port), in: namespace, timeout: .milliseconds(1_300))
        .exchange()
    }
  }

  private func hostEndpoint(_ name: String, at interface: String) -> JSON {
    PolicyManifest.hostEndpoint.merging([
      "metadata": ["name": .string(name)], "spec": ["interfaceName": .string(interface)],
    ])
  }

  /// Who answers, or `nil` if nobody does.
  private func outside(_ address: DualAddress, _ family: AddressFamily, _ port: UInt16 = 8080) throws -> String? {
    let outcome = try network.ask(address[family], port)
    #expect(outcome.reply != nil || outcome == .timedOut, "\(outcome)")
    return outcome.reply?.server
  }

  private func client(_ family: AddressFamily) throws -> Answers.Outcome {
    try cluster.client.ask(cluster.node(1).address, 8080, .packets(family)).outcome
  }

  private func node(_ family: AddressFamily) throws -> Answers.Outcome {
    try cluster.node(1).ask(SecondNetwork.far, 8080, .packets(family)).outcome
  }

  @Test(arguments: AddressFamily.allCases)
  func `Nobody allows anything: the interface is closed, and no other`(_ family: AddressFamily) throws {
    let near = SecondNetwork.near
    #expect(try outside(near, family) == "n1")
    #expect(try node(family) == .answered(by: ["outside"]))
    try cluster.apply([hostEndpoint("n1-eth1", at: "eth1")])
    #expect(try outside(near, family) == nil)
    #expect(try outside(cluster.node(1).address, family) == nil, "by whatever address of the node")
    #expect(try outside(near, family, 22) == "n1", "failsafe")
    #expect(try node(family) == .dropped)
    #expect(try client(family) == .answered(by: ["n1"]))
    // What goes through is another matter.
    #expect(try outside(cluster.pod(1, 1).address, family) == "p11")
    try cluster.apply()
    #expect(try outside(near, family) == "n1")
  }

  @Test(arguments: AddressFamily.allCases)
  func `An endpoint of every interface closes this one as well`(_ family: AddressFamily) throws {
    let near = SecondNetwork.near
    try cluster.apply([hostEndpoint("n1-all", at: "*")])
    #expect(try outside(near, family) == nil)
    #expect(try outside(near, family, 22) == "n1", "failsafe")
    #expect(try client(family) == .dropped)
    let open = PolicyManifest.global(
      "open", order: 1, selector: "host == 'n1'", ["types": ["Ingress"], "ingress": [PolicyManifest.rule("Allow")]])
    try cluster.apply([hostEndpoint("n1-all", at: "*"), open])
    #expect(try outside(near, family) == "n1")
    #expect(try client(family) == .answered(by: ["n1"]))
  }

  @Test(arguments: AddressFamily.allCases)
  func `The interface is closed as soon as it is there`(_ family: AddressFamily) throws {
    for name in ["eth1", "*"] {
      try cluster.node(1).namespace.ip("link set eth1 down")
      try network.tell()
      try cluster.apply([hostEndpoint("n1", at: name)])
      try cluster.node(1).namespace.ip("link set eth1 up", "addr replace \(SecondNetwork.near.v6)/64 dev eth1 nodad")
      try network.tell()
      #expect(try outside(SecondNetwork.near, family) == nil, "\(name)")
      #expect(try outside(SecondNetwork.near, family, 22) == "n1", "\(name)")
    }
  }
}
