import BPF
import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking
import MartletPolicy
import PolicyTesting

/// A node of a random cluster with three pods that stay where they are, and the data plane that serves it.
final class StormNode: Sendable {
  let namespace: NetworkNamespace
  let network: Interface
  let pods: [NamespacedName: Interface]
  private let world: NetworkNamespace
  private let pins: TemporaryBPFFilesystem

  static let name = RandomPolicyCluster.nodeName
  static let podNames = [("a", "w0"), ("a", "w1"), ("b", "w0")].map { NamespacedName(namespace: $0.0, name: $0.1) }

  /// Addresses that ``RandomPolicyCluster`` has as well.
  private static func addresses(_ index: UInt8) -> [IPAddress] {
    [IPAddress(10, 0, 0, 1 + index), IPAddress(high: 0xfd00 << 48, low: UInt64(1 + index))]
  }
  private static let nodeAddresses = [IPAddress(192, 0, 2, 1), IPAddress(high: 0x2001_0db8 << 32, low: 1)]
  private static let outside = [IPAddress(8, 8, 8, 8), IPAddress(high: 0x2a00 << 48, low: 8)]

  init() throws {
    pins = try TemporaryBPFFilesystem()
    world = try NetworkNamespace()
    namespace = try NetworkNamespace()
    for scope in ["all", "default"] { try namespace.setSysctl("net.ipv6.conf.\(scope).accept_dad", "0") }
    try namespace.setSysctl("net.ipv4.ip_forward", "1")
    try namespace.setSysctl("net.ipv6.conf.all.forwarding", "1")
    network = try namespace.addVeth("eth0", peer: world, "eth0").near
    try namespace.ip(
      "addr add \(Self.nodeAddresses[0])/24 dev eth0", "addr add \(Self.nodeAddresses[1])/64 dev eth0 nodad",
      "route add default via 192.0.2.254 dev eth0", "route add default via fe80::1 dev eth0")
    var pods: [NamespacedName: Interface] = [:]
    for (index, name) in Self.podNames.enumerated() {
      pods[name] = try namespace.addVeth("pod\(index)", peer: world, "pod\(index)").near
      for address in Self.addresses(UInt8(index)) { try namespace.ip("route add \(address) dev pod\(index)") }
    }
    self.pods = pods
  }

  /// A new data plane. Call it in the node's namespace.
  func makeDataPlane() throws -> BPFDataPlane {
    // Nothing is open to everybody, and what pods send to the node is judged.
    let configuration = Configuration(
      nodeName: Self.name, failsafeInbound: [], failsafeOutbound: [], workloadToHostAction: .return)
    return try BPFDataPlane(
      BPFDataPlane.Options(configuration: configuration, pins: PinFolder(root: "\(pins.path)/martlet")))
  }

  /// What a random cluster leaves where it is.
  var residents: ClusterState {
    ClusterState(
      [
        .node(
          Node(
            name: Self.name, addresses: Self.nodeAddresses.map { .init($0) },
            podPrefixes: [
              IPPrefix(IPAddress(10, 0, 0, 0), length: 24), IPPrefix(IPAddress(high: 0xfd00 << 48, low: 0), length: 64),
            ]))
      ]
        + Self.podNames.enumerated().map { index, name in
          .workload(Workload(name: name, node: Self.name, addresses: Self.addresses(UInt8(index))))
        })
  }

  /// A packet between two pods, or one of them or the node and somebody outside.
  func question(_ cluster: inout RandomPolicyCluster) -> StormQuestion {
    let family = cluster.generator.below(2)
    let (from, to) = (cluster.generator.below(3), cluster.generator.below(3))
    let kind = cluster.generator.below(4)
    let (source, sender) =
      kind < 2 ? (Self.addresses(UInt8(from))[family], Self.podNames[from]) : (Self.outside[family], nil)
    let (destination, receiver) =
      kind == 1 || kind == 3
      ? (Self.nodeAddresses[family], nil)
      : (Self.addresses(UInt8(from == to ? (to + 1) % 3 : to))[family], Self.podNames[from == to ? (to + 1) % 3 : to])
    return StormQuestion(
      packet: PolicyPacket(
        from: source, to: destination, cluster.generator.pick([.tcp, .udp]), sourcePort: 40_000,
        destinationPort: cluster.generator.pick([53, 80, 81, 443, 61])),
      sender: sender, receiver: receiver)
  }
}
