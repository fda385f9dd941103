import BPF
import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking

/// A node with pods, whose data plane each test starts, and services that lead to them.
final class LoadNode: Sendable {
  static let name = "node-1"
  static let servicePort: UInt16 = 80
  static let podPort: UInt16 = 8080

  let topology: Topology
  private let pins: TemporaryBPFFilesystem
  private let flowCapacity: UInt32

  init(pods: Int, flowCapacity: UInt32 = 1 << 16) throws {
    topology = try Topology(nodes: 1, podsPerNode: pods)
    pins = try TemporaryBPFFilesystem()
    self.flowCapacity = flowCapacity
  }

  var namespace: NetworkNamespace { topology.nodes[0].host.namespace }
  var pods: [Topology.Pod] { topology.nodes[0].pods }

  private var folder: PinFolder { PinFolder(root: "\(pins.path)/martlet") }

  /// A data plane, new or successor of the one before. Call it in the node's namespace.
  func makeDataPlane() throws -> BPFDataPlane {
    var options = BPFDataPlane.Options(
      configuration: Configuration(nodeName: Self.name), pins: folder, flowCapacity: flowCapacity)
    // No packet is to change its source.
    options.masqueradePools = []
    return try BPFDataPlane(options)
  }

  /// Starts a data plane and lets it go: its pins forward.
  func start(_ state: ClusterState) throws {
    let problems = try namespace.run { try self.makeDataPlane().start(with: state) }
    if let problem = problems.first { throw problem }
  }

  /// The maps, whether or not a data plane runs.
  func maps() throws -> DatapathMaps { try DatapathMaps(pinnedUnder: folder) }

  /// The datapath's counters: packets, or events, by name.
  func counters() throws -> [String: UInt64] {
    Dictionary(uniqueKeysWithValues: try maps().readCounters().map { ($0.name, $0.packets) })
  }

  /// The node and its pods.
  var resources: [Resource] {
    let node = topology.nodes[0]
    let addresses = [Node.Address(node.host.ipv4), Node.Address(node.host.ipv6)]
    let pods = node.pods.enumerated().map { index, pod in
      Resource.workload(
        Workload(
          name: NamespacedName(namespace: "default", name: "pod-\(index + 1)"), node: Self.name,
          addresses: [pod.host.ipv4, pod.host.ipv6]))
    }
    return [
      .node(Node(name: Self.name, addresses: addresses, podPrefixes: [node.podCIDRv4, node.podCIDRv6]))
    ] + pods
  }
}

/// A service of one port whose endpoints a test sets.
struct LoadService {
  let name: String
  let address: IPAddress
  var `protocol` = L4Protocol.tcp

  var frontend: SocketAddress { SocketAddress(address, LoadNode.servicePort) }

  var resource: Resource {
    .service(
      Service(
        name: NamespacedName(namespace: "default", name: name), clusterIPs: [address],
        ports: [Service.Port(name: "port", protocol: `protocol`, port: LoadNode.servicePort)]))
  }

  func endpoints(_ addresses: [IPAddress], port: UInt16 = LoadNode.podPort) -> Resource {
    .endpointSlice(
      EndpointSlice(
        name: NamespacedName(namespace: "default", name: "\(name)-1"), serviceName: name, family: address.family,
        endpoints: addresses.map { EndpointSlice.Endpoint(address: $0, node: LoadNode.name) },
        ports: [EndpointSlice.Port(name: "port", protocol: `protocol`, port: port)]))
  }
}
