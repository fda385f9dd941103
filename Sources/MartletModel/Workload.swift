import MartletNetworking

/// Something that runs on a node and has addresses: a pod.
public struct Workload: Hashable, Sendable {
  /// The name.
  public var name: NamespacedName
  /// Tells apart workloads that bore the same name one after the other.
  public var uid: String
  /// The name of the node that runs it; `nil` before one is chosen.
  public var node: String?
  /// Addresses, at most one a family as a rule. Empty until the workload's network is set up.
  public var addresses: [IPAddress]
  /// Labels.
  public var labels: [String: String]
  /// Ports that have a name.
  public var ports: [Port]
  /// Whether it lives in its node's network namespace, so that its addresses are the node's.
  public var usesHostNetwork: Bool
  /// The name of the service account, in the workload's namespace.
  public var serviceAccount: String
  /// Whether it has ended for good. Its addresses may be somebody else's by now.
  public var isFinished: Bool

  /// Whether its processes may be given a backend where they connect to a service; if not, each of their packets is
  /// translated instead.
  public var usesConnectTimeBalancing: Bool
  /// Addresses besides ``addresses`` that it may send from.
  public var allowedSources: [IPPrefix]

  /// A workload with these properties.
  public init(
    name: NamespacedName, uid: String = "", node: String? = nil, addresses: [IPAddress] = [],
    labels: [String: String] = [:], ports: [Port] = [], usesHostNetwork: Bool = false,
    serviceAccount: String = "default", isFinished: Bool = false, usesConnectTimeBalancing: Bool = true,
    allowedSources: [IPPrefix] = []
  ) {
    self.name = name
    self.uid = uid
    self.node = node
    self.addresses = addresses
    self.labels = labels
    self.ports = ports
    self.usesHostNetwork = usesHostNetwork
    self.serviceAccount = serviceAccount
    self.isFinished = isFinished
    self.usesConnectTimeBalancing = usesConnectTimeBalancing
    self.allowedSources = allowedSources
  }

  /// Whether the addresses are the workload's own: it lives, has some, and isn't on its host's network.
  public var hasOwnAddresses: Bool {
    !usesHostNetwork && !isFinished && !addresses.isEmpty
  }
}

extension Workload {
  /// A port of a workload that has a name.
  ///
  /// A name may occur once with each protocol.
  public struct Port: Hashable, Sendable {
    /// The name.
    public var name: String
    /// The protocol.
    public var `protocol`: L4Protocol
    /// The number, 1 to 65535.
    public var port: UInt16

    /// The port with this name and number.
    public init(name: String, protocol: L4Protocol = .tcp, port: UInt16) {
      self.name = name
      self.protocol = `protocol`
      self.port = port
    }
  }
}
