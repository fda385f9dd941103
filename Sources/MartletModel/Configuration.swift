import MartletNetworking

/// What a node's data plane is told once, as opposed to the cluster's state, which changes.
public struct Configuration: Hashable, Sendable {
  /// The name of the node it runs on, as ``Node/name``. Decides what is local.
  public var nodeName: String
  /// Ranges from which cluster IPs are allocated. What is sent to an address in them that no service has is dropped,
  /// lest it loop between nodes and routers.
  public var serviceCIDRs: [IPPrefix]
  /// On which of the node's addresses node ports answer.
  public var nodePortAddresses: NodePortAddresses
  /// What ``Service/Forwarding/standard`` stands for. Never itself that.
  public var defaultForwarding: Service.Forwarding
  /// Whether ``Service/Forwarding/automatic`` stands for direct return rather than the tunnel. A data plane that can
  /// look at its network finds out by itself.
  public var carriesDirectReturn = false
  /// Which services are this data plane's: those whose ``Service/proxyName`` is this. `nil`: those without.
  public var proxyName: String?
  /// Entries in each table of a service with ``Service/LoadBalancing/maglev``: a prime, about a hundred times the
  /// number of endpoints.
  public var maglevTableSize: Int
  /// Ports of this node that no policy closes.
  public var failsafeInbound: [FailsafePort]
  /// Ports of others that this node reaches whatever policies say.
  public var failsafeOutbound: [FailsafePort]
  /// What becomes of what a workload sends to its own node, once its policies have let it through.
  public var workloadToHostAction: WorkloadToHostAction
  /// Whether workloads may send VXLAN and IP in IP, which somebody might take for a node's.
  public var allowsWorkloadTunnels = false
  /// Whether each node has a host endpoint without anybody writing it, ``ClusterState/automaticHostEndpoints``.
  public var automaticHostEndpoints: Bool

  /// A configuration with these values.
  public init(
    nodeName: String, serviceCIDRs: [IPPrefix] = [], nodePortAddresses: NodePortAddresses = .all,
    defaultForwarding: Service.Forwarding = .tunnel, proxyName: String? = nil, maglevTableSize: Int = 16_381,
    failsafeInbound: [FailsafePort] = FailsafePort.standardInbound,
    failsafeOutbound: [FailsafePort] = FailsafePort.standardOutbound,
    workloadToHostAction: WorkloadToHostAction = .automatic, automaticHostEndpoints: Bool = false
  ) {
    precondition(defaultForwarding != .standard, "the default cannot defer to the default")
    self.nodeName = nodeName
    self.serviceCIDRs = serviceCIDRs
    self.nodePortAddresses = nodePortAddresses
    self.defaultForwarding = defaultForwarding
    self.proxyName = proxyName
    self.maglevTableSize = maglevTableSize
    self.failsafeInbound = failsafeInbound
    self.failsafeOutbound = failsafeOutbound
    self.workloadToHostAction = workloadToHostAction
    self.automaticHostEndpoints = automaticHostEndpoints
  }

  /// What becomes of what a workload sends to its own node, once the workload's policies have let it through.
  public enum WorkloadToHostAction: String, Sendable, CaseIterable {
    /// ``drop`` where somebody has written a host endpoint for the node, ``accept`` where nobody has.
    case automatic
    /// It is dropped.
    case drop
    /// The policies of the node's host endpoint decide.
    case `return`
    /// It is let through.
    case accept
  }

  /// Whether replies of `service` from this node return directly to clients that came in through another one.
  public func usesDirectReturn(_ service: Service) -> Bool {
    switch service.forwarding == .standard ? defaultForwarding : service.forwarding {
    case .directReturn: true
    case .automatic: carriesDirectReturn
    case .tunnel, .standard: false
    }
  }

  /// On which of a node's addresses node ports answer.
  public enum NodePortAddresses: Hashable, Sendable {
    /// On every address of ``Node/addresses``, and on every other that the node's kernel has, but for loopback.
    case all
    /// On the one address a family by which other nodes know it, ``Node/address(_:)``.
    case primary
    /// On those of ``all`` that are in any of these ranges. A family that no range is of gets no node ports.
    case within([IPPrefix])
  }

  /// Whether node ports answer on loopback addresses: where a range names some.
  public var servesLoopback: Bool {
    guard case .within(let prefixes) = nodePortAddresses else { return false }
    return prefixes.contains { $0.address.isLoopback }
  }

  /// The addresses of `node` on which node ports answer.
  public func nodePortAddresses(of node: Node) -> [IPAddress] {
    switch nodePortAddresses {
    case .all: node.addresses.map(\.address)
    case .primary: AddressFamily.allCases.compactMap(node.address)
    case .within(let prefixes):
      node.addresses.map(\.address).filter { address in prefixes.contains { $0.contains(address) } }
    }
  }
}
