import MartletNetworking

/// A machine of the cluster.
public struct Node: Hashable, Sendable {
  /// The name, which workloads and endpoints refer to. Compared byte by byte.
  public var name: String
  /// Addresses at which the node is reached, most preferred first.
  public var addresses: [Address]
  /// Ranges from which the node's workloads get their addresses; at most one a family as a rule.
  public var podPrefixes: [IPPrefix]
  /// Labels.
  public var labels: [String: String]
  /// Taints: reasons not to be given workloads.
  public var taints: [Taint]
  /// Whether the node reports that it is ready.
  public var isReady: Bool
  /// Whether the node is on its way out of the cluster, so that load balancers should turn away.
  public var isBeingDeleted: Bool

  /// A node with these properties.
  public init(
    name: String, addresses: [Address] = [], podPrefixes: [IPPrefix] = [], labels: [String: String] = [:],
    taints: [Taint] = [], isReady: Bool = true, isBeingDeleted: Bool = false
  ) {
    self.name = name
    self.addresses = addresses
    self.podPrefixes = podPrefixes
    self.labels = labels
    self.taints = taints
    self.isReady = isReady
    self.isBeingDeleted = isBeingDeleted
  }

  /// The label that names the failure domain, `topology.kubernetes.io/zone`.
  public static let zoneLabel = "topology.kubernetes.io/zone"

  /// The failure domain, by ``zoneLabel``.
  public var zone: String? { labels[Self.zoneLabel] }

  /// The address that other nodes use: the first internal one of `family`, or else the first external one.
  public func address(_ family: AddressFamily) -> IPAddress? {
    let candidates = addresses.filter { $0.address.family == family }
    return (candidates.first { $0.kind == .internal } ?? candidates.first)?.address
  }
}

extension Node {
  /// An address of a node and where it is known.
  public struct Address: Hashable, Sendable {
    /// Where an address is known.
    public enum Kind: String, Sendable {
      /// Within the cluster.
      case `internal`
      /// Outside it.
      case external
    }

    /// The address.
    public var address: IPAddress
    /// Where it is known.
    public var kind: Kind

    /// `address`, known in the cluster unless said otherwise.
    public init(_ address: IPAddress, kind: Kind = .internal) {
      self.address = address
      self.kind = kind
    }
  }

  /// A reason not to be given workloads.
  public struct Taint: Hashable, Sendable {
    /// What the reason is.
    public var key: String
    /// More about it; often empty.
    public var value: String
    /// What it does to workloads: `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    public var effect: String

    /// The taint `key=value:effect`.
    public init(key: String, value: String = "", effect: String) {
      self.key = key
      self.value = value
      self.effect = effect
    }
  }
}
