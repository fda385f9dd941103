import BPFTesting
import MartletDataPlane
import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

/// Three nodes with three pods each, a client outside, and a data plane on every node, which does what the manifests say
/// that are applied.
///
/// ```swift
/// try cluster.apply(services: [.clusterIP], slices: [.init(["p11", "p21"])])
/// #expect(try cluster.pod(1, 2).ask(web).outcome == .answered(by: ["p11", "p21"]))
/// ```
///
/// Pods and nodes answer on ``ClusterHost/ports``. Nodes 1 and 2 are in zone `a`, node 3 in zone `b`. A suite builds
/// one with ``ClusterTrait`` and its tests, which run one after the other, each begin by applying what they need.
final class Cluster: Sendable {
  let client: ClusterHost
  let nodes: [ClusterNode]
  let topology: Topology
  private let manifests: ManifestSource

  /// The ranges of cluster IPs.
  static let serviceCIDRs = [
    IPPrefix(IPAddress(10, 96, 0, 0), length: 16), IPPrefix(IPAddress(high: 0xfd96 << 48, low: 0), length: 64),
  ]

  /// Builds the cluster; `options` may change how data planes are set up.
  init(options: (inout BPFDataPlane.Options) -> Void = { _ in }) throws {
    let topology = try Topology(nodes: 3, podsPerNode: 3)
    self.topology = topology
    client = try ClusterHost("client", topology.client)
    nodes = try topology.nodes.enumerated().map { index, node in
      try ClusterNode(node, number: index + 1) {
        $0.configuration.serviceCIDRs = Self.serviceCIDRs
        options(&$0)
      }
    }
    manifests = try ManifestSource()
    try manifests.write(baseObjects.values.map(\.self))
    let state = try manifests.read()
    for node in nodes { try Self.expectNone(try node.start(with: state), node) }
    // A pod speaks before it is spoken for: whose its namespace is, its first packet tells.
    for host in pods { _ = try host.ask(SocketAddress(nodes[0].host[.ipv4], 9)) }
  }

  func node(_ number: Int) -> ClusterHost { nodes[number - 1].host }
  func pod(_ node: Int, _ number: Int) -> ClusterHost { nodes[node - 1].pods[number - 1] }
  var pods: [ClusterHost] { nodes.flatMap(\.pods) }
  /// Every host by its name.
  func host(_ name: String) throws -> ClusterHost {
    try #require((nodes.map(\.host) + pods + [client]).first { $0.name == name }, "there is no host \(name)")
  }

  // MARK: - State

  /// Makes this the state of the cluster, beside its nodes and pods, on every node whose agent runs.
  func apply(
    services: [ServiceManifest] = [], slices: [EndpointSliceManifest] = [], others: [JSON] = []
  ) throws {
    try apply(services.map(\.json) + slices.flatMap { try $0.json(host) } + others)
  }

  /// Likewise, with any objects. One with the name of a node or pod takes its place.
  ///
  /// - Parameter problems: whether it is part of the test that something is wrong with the manifests or their meaning.
  @discardableResult
  func apply(_ objects: [JSON], allowingProblems: Bool = false) throws -> [String] {
    var all = baseObjects
    for object in objects { all[Self.key(object)] = object }
    try manifests.write(Array(all.values))
    return try synchronize(allowingProblems: allowingProblems)
  }

  /// Likewise, with the text of a file in YAML beside the cluster's own objects.
  @discardableResult
  func apply(yaml: String, allowingProblems: Bool = false) throws -> [String] {
    try manifests.write(Array(baseObjects.values), yaml: yaml)
    return try synchronize(allowingProblems: allowingProblems)
  }

  private func synchronize(allowingProblems: Bool) throws -> [String] {
    let before = manifests.state
    let state = try manifests.read()
    let changes = before.changes(to: state)
    var problems = manifests.problems
    for node in nodes {
      let found = try node.run { dataPlane in dataPlane.apply(changes) + dataPlane.reclaim() }
      problems += (found ?? []).map { "\(node.name): \($0)" }
    }
    if !allowingProblems { try #require(problems.isEmpty, "\(problems)") }
    return problems
  }

  /// Starts the agent of a node, after ``ClusterNode/stop()``, with the state as it is now.
  func start(_ node: ClusterNode) throws {
    try Self.expectNone(try node.start(with: manifests.state), node)
  }

  private static func expectNone(_ problems: [DataPlaneProblem], _ node: ClusterNode) throws {
    try #require(problems.isEmpty, "\(node.name): \(problems)")
  }

  // MARK: - Routes

  /// Sends what the client sends to `address` by way of node `node`.
  func route(_ address: IPAddress, via node: Int) throws {
    try client.namespace.ip("route replace \(address) via \(self.node(node)[address.family])")
  }

  // MARK: - Objects

  private static func key(_ object: JSON) -> String {
    let metadata = object["metadata"]
    return "\(object["kind"] ?? nil) \(metadata?["namespace"] ?? nil) \(metadata?["name"] ?? nil)"
  }

  /// Nodes, pods, and the namespace.
  private var baseObjects: [String: JSON] {
    let objects = [Self.namespaceObject] + topology.nodes.indices.map(nodeObject) + pods.map(podObject)
    return Dictionary(objects.map { (Self.key($0), $0) }) { $1 }
  }

  private static let namespaceObject: JSON = [
    "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "default"],
  ]

  /// Node `index`, counted from 0.
  func nodeObject(_ index: Int) -> JSON {
    let (node, topology) = (nodes[index], topology.nodes[index])
    return [
      "apiVersion": "v1", "kind": "Node",
      "metadata": [
        "name": .string(node.name), "labels": ["topology.kubernetes.io/zone": index == 2 ? "b" : "a"],
      ],
      "spec": ["podCIDRs": ["\(topology.podCIDRv4)", "\(topology.podCIDRv6)"]],
      "status": ["addresses": .list(node.host.address.both.map { ["type": "InternalIP", "address": "\($0)"] })],
    ]
  }

  func podObject(_ pod: ClusterHost) -> JSON {
    [
      "apiVersion": "v1", "kind": "Pod",
      "metadata": [
        "name": .string(pod.name), "namespace": "default", "uid": .string(pod.name),
        "labels": ["pod": .string(pod.name)],
      ],
      "spec": [
        "nodeName": pod.node.map { .string($0) } ?? nil,
        "containers": [["name": "server", "ports": [["name": "http", "containerPort": 8080]]]],
      ],
      "status": ["phase": "Running", "podIPs": .list(pod.address.both.map { ["ip": "\($0)"] })],
    ]
  }
}
