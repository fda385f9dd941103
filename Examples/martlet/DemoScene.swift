import MartletKubernetes
import MartletModel
import MartletNetworking

/// What the manifests say, as far as the demo plays it: a node, its pods, and a service with a node port.
struct DemoScene {
  let state: ClusterState
  let node: Node
  let pods: [Workload]
  let service: Service

  private let port: Service.Port
  private let nodePort: UInt16
  private let backends: Set<IPAddress>

  /// The port that the pods listen on.
  let podPort: UInt16

  /// Reads the manifests; throws ``DemoFailure`` naming what is wrong with them.
  init(manifests: String) throws {
    let contents = ManifestFolder(path: manifests).load()
    if let problem = contents.problems.first {
      throw DemoFailure("\(problem); start it in the project's folder, or name --manifests")
    }
    let state = contents.state
    guard let node = state.nodes.values.first, state.nodes.count == 1 else {
      throw DemoFailure("\(manifests): \(state.nodes.count) nodes, but the demo plays one")
    }
    let services = state.services.values.sorted { $0.name < $1.name }
    guard let service = services.first(where: { $0.ports.contains { $0.nodePort != nil } }),
      let port = service.ports.first(where: { $0.nodePort != nil }), let nodePort = port.nodePort
    else { throw DemoFailure("\(manifests): no service has a node port") }
    let slices = state.endpointSlices.values.filter { $0.service == service.name }
    guard let podPort = slices.lazy.flatMap(\.ports).first(where: { $0.name == port.name })?.port else {
      throw DemoFailure("\(manifests): service \(service.name) has no endpoints")
    }
    (self.state, self.node, self.service, self.port, self.nodePort) = (state, node, service, port, nodePort)
    pods = state.workloads.values.filter { $0.node == node.name && $0.hasOwnAddresses }.sorted { $0.name < $1.name }
    backends = Set(slices.flatMap(\.endpoints).map(\.address))
    self.podPort = podPort
  }

  /// Addresses of the service that the client finds behind the node.
  var externalAddresses: [IPAddress] { service.externalIPs + service.loadBalancerIngress.map(\.address) }

  /// Every way to the service.
  func requests(in cluster: DemoCluster) throws -> [DemoRequest] {
    // A pod that is no backend itself, so that it does not happen to talk to itself.
    guard let visitor = cluster.pods.first(where: { backends.isDisjoint(with: $0.addresses) }) else {
      throw DemoFailure("every pod is a backend of \(service.name): add one that is not")
    }
    let inside = try service.clusterIPs.map {
      try request("pod -> ClusterIP", $0, port.port, from: visitor, seenAs: visitor, in: cluster)
    }
    let external = try service.externalIPs.map { address in
      try request("client -> externalIP", address, port.port, from: cluster.client, seenAs: cluster.client, in: cluster)
    }
    let balanced = try service.loadBalancerIngress.map {
      try request(
        "client -> LoadBalancer IP", $0.address, port.port, from: cluster.client, seenAs: cluster.client, in: cluster)
    }
    return inside + (try nodePortRequests(in: cluster, seenAs: cluster.client)) + external + balanced
  }

  /// The client's way by the node's own address; `source` is whose address the pod should see.
  func nodePortRequests(in cluster: DemoCluster, seenAs source: DemoCluster.Host) throws -> [DemoRequest] {
    try cluster.node.addresses.map {
      try request("client -> NodePort", $0, nodePort, from: cluster.client, seenAs: source, in: cluster)
    }
  }

  private func request(
    _ path: String, _ address: IPAddress, _ port: UInt16, from: DemoCluster.Host, seenAs source: DemoCluster.Host,
    in cluster: DemoCluster
  ) throws -> DemoRequest {
    DemoRequest(
      path: path, from: from, address: address, port: port, expectedSource: try source.address(address.family),
      expectedBackends: Set(cluster.pods.filter { !backends.isDisjoint(with: $0.addresses) }.map(\.name)))
  }
}
