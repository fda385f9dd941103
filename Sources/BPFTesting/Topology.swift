import MartletNetworking

/// A small cluster in namespaces: a client outside, nodes on one wire with it, and pods behind veths on each node.
///
///     client 192.168.50.100 ──┐            ┌── pod 10.65.1.11
///                             ├── node 1 ──┤
///                             │   .50.11   └── pod 10.65.1.12
///                             └── node 2 ───── …
///
/// Every host has an address of each family: nodes `192.168.50.1N` and `fd50::1N`; pods `10.65.N.1P` and `fd65:0:0:N::1P`
/// with the full prefix length, as CNI plugins of the routed kind assign them. A pod's gateways are `169.254.1.1` and
/// `fe80::1`, which its node answers for by a static neighbour entry; the node has a route to each pod and to the other
/// nodes' pods. The client has routes to pods, and to nothing else: service addresses are for the test to route.
///
/// All goes when nothing refers to it any more. The nodes forward; nothing on them translates.
public struct Topology: Sendable {
  /// A namespace with one interface, `eth0`, and an address of each family.
  public struct Host: Sendable {
    /// The host's namespace.
    public let namespace: NetworkNamespace
    /// Its `eth0`.
    public let interface: Interface
    /// Its IPv4 address.
    public let ipv4: IPAddress
    /// Its IPv6 address.
    public let ipv6: IPAddress

    /// Its address of a family.
    public func address(_ family: AddressFamily) -> IPAddress { family == .ipv4 ? ipv4 : ipv6 }
  }

  /// A pod.
  public struct Pod: Sendable {
    /// The pod's own side.
    public let host: Host
    /// The node's end of the pod's veth pair.
    public let nodeInterface: Interface
  }

  /// A node with its pods.
  public struct Node: Sendable {
    /// The node's own side; `eth0` is on the wire.
    public let host: Host
    /// The pods that run there.
    public let pods: [Pod]
    /// The range of its pods' IPv4 addresses.
    public let podCIDRv4: IPPrefix
    /// The range of its pods' IPv6 addresses.
    public let podCIDRv6: IPPrefix
  }

  /// A host that is part of no cluster.
  public let client: Host
  /// The nodes, the first one being node 1.
  public let nodes: [Node]
  /// The namespace of the wire: bridge `br0`, with a port for each host.
  public let wire: NetworkNamespace

  /// Builds the cluster. Needs ip(8) and `CAP_SYS_ADMIN`.
  ///
  /// - Precondition: there are 1 to 9 nodes, with at most 9 pods each.
  public init(nodes nodeCount: Int = 1, podsPerNode: Int = 2) throws {
    precondition((1...9).contains(nodeCount) && (0...9).contains(podsPerNode), "one digit each")
    let wire = try NetworkNamespace()
    try wire.ip("link add br0 type bridge", "link set br0 up")
    self.wire = wire
    client = try Self.plug("client", into: wire, IPAddress(192, 168, 50, 100), Self.ipv6(0xfd50 << 48, 0x100))
    nodes = try (1...nodeCount).map { try Self.makeNode($0, podsPerNode, on: wire) }
    try route()
  }

  private static func makeNode(_ index: Int, _ podCount: Int, on wire: NetworkNamespace) throws -> Node {
    let host = try plug(
      "node\(index)", into: wire, IPAddress(192, 168, 50, UInt8(10 + index)), ipv6(0xfd50 << 48, 0x10 + UInt64(index)))
    try host.namespace.setSysctl("net.ipv4.ip_forward", "1")
    try host.namespace.setSysctl("net.ipv6.conf.all.forwarding", "1")
    let (high, third) = (0xfd65 << 48 | UInt64(index), UInt8(index))
    let pods = try (0..<podCount).map { pod in
      try plugPod(
        "pod\(pod + 1)", on: host.namespace, IPAddress(10, 65, third, UInt8(11 + pod)), ipv6(high, UInt64(0x11 + pod)))
    }
    return Node(
      host: host, pods: pods, podCIDRv4: IPPrefix(IPAddress(10, 65, third, 0), length: 24),
      podCIDRv6: IPPrefix(ipv6(high, 0), length: 64))
  }

  private static let ipv6Gateway = ipv6(0xfe80 << 48, 1)

  private static func ipv6(_ high: UInt64, _ low: UInt64) -> IPAddress { IPAddress(high: high, low: low) }

  /// A host on the wire.
  private static func plug(
    _ port: String, into wire: NetworkNamespace, _ ipv4: IPAddress, _ ipv6: IPAddress
  ) throws -> Host {
    let namespace = try NetworkNamespace()
    let pair = try wire.addVeth(port, peer: namespace, "eth0")
    try wire.ip("link set \(port) master br0")
    try namespace.addAddress(ipv4, length: 24, to: "eth0")
    try namespace.addAddress(ipv6, length: 64, to: "eth0")
    return Host(namespace: namespace, interface: pair.far, ipv4: ipv4, ipv6: ipv6)
  }

  /// Plugs a pod into the namespace of a node, whose end of the pair is called `name`.
  public static func plugPod(
    _ name: String, on node: NetworkNamespace, _ ipv4: IPAddress, _ ipv6: IPAddress
  ) throws -> Pod {
    let namespace = try NetworkNamespace()
    let pair = try node.addVeth(name, peer: namespace, "eth0")
    try namespace.addAddress(ipv4, length: 32, to: "eth0")
    try namespace.addAddress(ipv6, length: 128, to: "eth0")
    try namespace.ip(
      "route add 169.254.1.1 dev eth0 scope link", "route add default via 169.254.1.1 dev eth0",
      "neigh add 169.254.1.1 lladdr \(pair.near.mac) dev eth0 nud permanent",
      "neigh add fe80::1 lladdr \(pair.near.mac) dev eth0 nud permanent", "route add default via fe80::1 dev eth0")
    try node.addAddress(ipv6Gateway, length: 64, to: name)
    try node.ip(
      "route add \(ipv4)/32 dev \(name)", "route add \(ipv6)/128 dev \(name)")
    let host = Host(namespace: namespace, interface: pair.far, ipv4: ipv4, ipv6: ipv6)
    return Pod(host: host, nodeInterface: pair.near)
  }

  /// Routes to pods from the client and from the other nodes, and to the client by default.
  private func route() throws {
    for node in nodes {
      try node.host.namespace.ip("route add default via \(client.ipv4)", "route add default via \(client.ipv6)")
    }
    for (index, node) in nodes.enumerated() {
      let routes = [
        "route add \(node.podCIDRv4) via \(node.host.ipv4)", "route add \(node.podCIDRv6) via \(node.host.ipv6)",
      ]
      try client.namespace.ip(routes)
      for (other, neighbour) in nodes.enumerated() where other != index { try neighbour.host.namespace.ip(routes) }
    }
  }
}
