import BPFTesting
import KubeProxyRules
import MartletDataPlane
import MartletModel
import MartletNetworking

/// What forwards the connections of a measurement.
enum Forwarder: Hashable, CustomStringConvertible {
  /// Nothing translates: the client asks the pod itself.
  case kernel
  case martlet(services: Int)
  case iptables(services: Int)
  case nftables(services: Int)

  var description: String {
    switch self {
    case .kernel: "kernel's own path, no service"
    case .martlet(let count): "Martlet, \(count) services"
    case .iptables(let count): "kube-proxy iptables, \(count) services"
    case .nftables(let count): "kube-proxy nftables, \(count) services"
    }
  }

  var serviceCount: Int {
    switch self {
    case .kernel: 0
    case .martlet(let count), .iptables(let count), .nftables(let count): count
    }
  }
}

/// A node with pods in namespaces of its own, where the first pod reaches the second through one of many services.
final class BenchmarkCluster: Sendable {
  let topology: Topology
  let forwarder: Forwarder
  /// Where the first pod finds the second.
  let target: (address: IPAddress, port: UInt16)

  private let pins: TemporaryBPFFilesystem?
  private let state: ClusterState

  static let podPort: UInt16 = 8080
  static let servicePort: UInt16 = 80

  var client: Topology.Pod { topology.nodes[0].pods[0] }
  var server: Topology.Pod { topology.nodes[0].pods[1] }

  /// Builds the cluster and programs its node.
  init(_ forwarder: Forwarder, pods: Int = 2) throws {
    let topology = try Topology(nodes: 1, podsPerNode: pods)
    self.topology = topology
    self.forwarder = forwarder
    let node = Self.node(topology)
    let state = Self.state(topology, node, services: forwarder.serviceCount)
    self.state = state
    // In the middle, so that a list is searched half way.
    target =
      forwarder == .kernel
      ? (topology.nodes[0].pods[1].host.ipv4, Self.podPort)
      : (Self.clusterIP(.ipv4, forwarder.serviceCount / 2), Self.servicePort)
    switch forwarder {
    case .kernel: pins = nil
    case .martlet:
      let pins = try TemporaryBPFFilesystem()
      self.pins = pins
      try topology.nodes[0].host.namespace.run { _ = try Self.program(state, pins) }
    case .iptables:
      pins = nil
      let rules = KubeProxyRules(state, node: node, .ipv4).iptables
      try Self.run(["iptables-restore", "--noflush"], input: rules, in: topology)
    case .nftables:
      pins = nil
      try Self.run(["nft", "-f", "-"], input: KubeProxyRules(state, node: node, .ipv4).nftables, in: topology)
    }
  }

  /// The pins keep what the data plane has programmed when the object goes.
  private static func program(_ state: ClusterState, _ pins: TemporaryBPFFilesystem) throws -> BPFDataPlane {
    let options = BPFDataPlane.Options(
      configuration: Configuration(nodeName: "node-1"), pins: PinFolder(root: "\(pins.path)/martlet"))
    let dataPlane = try BPFDataPlane(options)
    let problems = dataPlane.start(with: state)
    if let problem = problems.first { throw problem }
    return dataPlane
  }

  /// The data plane of a cluster that Martlet forwards for. To be called in the node's namespace.
  func takeOver() throws -> (dataPlane: BPFDataPlane, pins: PinFolder) {
    guard let pins else { preconditionFailure("\(forwarder) has no data plane") }
    return (try Self.program(state, pins), PinFolder(root: "\(pins.path)/martlet"))
  }

  private static func run(_ arguments: [String], input: String, in topology: Topology) throws {
    var command = Command(arguments)
    command.input = input
    command.timeout = .seconds(120)
    let loading = command
    try topology.nodes[0].host.namespace.run { _ = try loading.output() }
  }

  // MARK: - State

  static func clusterIP(_ family: AddressFamily, _ index: Int) -> IPAddress {
    family == .ipv4
      ? IPAddress(ipv4: 0x0a60_0001 + UInt32(index)) : IPAddress(high: 0xfd96 << 48, low: UInt64(index + 1))
  }

  private static func node(_ topology: Topology) -> Node {
    let node = topology.nodes[0]
    return Node(
      name: "node-1", addresses: [Node.Address(node.host.ipv4), Node.Address(node.host.ipv6)],
      podPrefixes: [node.podCIDRv4, node.podCIDRv6])
  }

  private static func state(_ topology: Topology, _ node: Node, services count: Int) -> ClusterState {
    let pods = topology.nodes[0].pods.enumerated().map { index, pod in
      Workload(
        name: NamespacedName(namespace: "default", name: "pod-\(index + 1)"), node: node.name,
        addresses: [pod.host.ipv4, pod.host.ipv6])
    }
    let services = (0..<count).flatMap { service($0, topology.nodes[0].pods[1].host, node) }
    return ClusterState([.node(node)] + pods.map(Resource.workload) + services)
  }

  private static func service(_ index: Int, _ backend: Topology.Host, _ node: Node) -> [Resource] {
    let digits = String(100_000 + index).dropFirst()
    let name = "service-\(digits)"
    let service = Service(
      name: NamespacedName(namespace: "default", name: name),
      clusterIPs: AddressFamily.allCases.map { clusterIP($0, index) },
      ports: [Service.Port(name: "http", port: servicePort)])
    let slices = AddressFamily.allCases.map { family in
      EndpointSlice(
        name: NamespacedName(namespace: "default", name: "\(name)-\(family)"), serviceName: name, family: family,
        endpoints: [EndpointSlice.Endpoint(address: backend.address(family), node: node.name)],
        ports: [EndpointSlice.Port(name: "http", port: podPort)])
    }
    return [.service(service)] + slices.map(Resource.endpointSlice)
  }
}
