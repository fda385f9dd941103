/// Rules for the traffic of some workloads or host endpoints.
///
/// Every kind of policy there is in Kubernetes and Calico is one of these. What applies to an endpoint in one direction
/// is evaluated in order: tiers, in each its policies, in each its rules, then the endpoint's profiles. The first rule
/// that matches and is not ``PolicyRule/Action/log`` decides.
public struct Policy: Hashable, Sendable {
  /// The kind and name.
  public var name: PolicyName
  /// The name of the ``Tier``. One that does not exist comes after all others, and denies at its end.
  public var tier: String
  /// Policies with a lower number come first in their tier; those without one come last. Equal ones go by name.
  public var order: Double?
  /// Whom it applies to.
  public var subject: Subject
  /// The directions it applies to, whether it has rules for them or not.
  public var directions: Set<PolicyDirection>
  /// Rules for what the subject receives.
  public var ingress: [PolicyRule]
  /// Rules for what the subject sends.
  public var egress: [PolicyRule]
  /// Which traffic through a host endpoint it sees.
  public var stage: Stage
  /// Whether it is there to be looked at only: never enforced, and its tier is as if it were not there.
  public var isStaged: Bool
  /// Of a staged one: whether what it stages is that the policy of its name goes.
  public var stagesDeletion = false
  /// Whether what it denies is answered with a TCP reset or an ICMP error rather than silence.
  public var rejects: Bool

  /// A policy with these properties.
  public init(
    name: PolicyName, tier: String = Tier.standard.name, order: Double? = nil, subject: Subject,
    directions: Set<PolicyDirection>, ingress: [PolicyRule] = [], egress: [PolicyRule] = [], stage: Stage = .normal,
    isStaged: Bool = false, rejects: Bool = false
  ) {
    self.name = name
    self.tier = tier
    self.order = order
    self.subject = subject
    self.directions = directions
    self.ingress = ingress
    self.egress = egress
    self.stage = stage
    self.isStaged = isStaged
    self.rejects = rejects
  }

  /// The rules for `direction`.
  public func rules(_ direction: PolicyDirection) -> [PolicyRule] {
    direction == .ingress ? ingress : egress
  }
}

/// Which way a packet goes, as seen from the endpoint that a policy protects.
public enum PolicyDirection: String, Sendable, CaseIterable {
  /// To the endpoint.
  case ingress = "Ingress"
  /// From the endpoint.
  case egress = "Egress"
}

extension Policy {
  /// Whom a policy applies to: endpoints whose labels, with those they inherit, match.
  ///
  /// See ``ClusterState/labels(of:)-(Workload)`` for what the labels are.
  public struct Subject: Hashable, Sendable {
    /// What the endpoint's labels have to be.
    public var selector: Selector
    /// Whether it applies to workloads alone, and never to host endpoints.
    public var workloadsOnly: Bool

    /// The endpoints that `selector` matches.
    public init(_ selector: Selector = .all, workloadsOnly: Bool = false) {
      self.selector = selector
      self.workloadsOnly = workloadsOnly
    }
  }

  /// Which traffic through a host endpoint a policy sees. For workloads each of them is as ``normal``, except those
  /// before the service is looked up, which workloads do not have.
  public enum Stage: String, Sendable, CaseIterable {
    /// What the host itself sends and receives.
    case normal
    /// That, and what the host forwards.
    case applyOnForward
    /// Both, before a service's address is replaced by a backend's. Ingress only.
    case preDNAT
    /// Both, before connections are tracked: each packet is judged by itself.
    case doNotTrack
  }
}

/// The kind and name of a policy.
public struct PolicyName: Hashable, Sendable {
  /// The kind of object that it was written as.
  public var kind: Kind
  /// The name; of the whole cluster if its namespace is empty.
  public var name: NamespacedName

  /// The policy `name` of `kind`.
  public init(_ kind: Kind, _ name: NamespacedName) {
    self.kind = kind
    self.name = name
  }

  /// The kinds of objects that are policies. Calico's have the names by which its tools know them.
  public enum Kind: String, Sendable, CaseIterable {
    /// `networking.k8s.io`.
    case networkPolicy = "NetworkPolicy"
    /// `policy.networking.k8s.io`.
    case clusterNetworkPolicy = "ClusterNetworkPolicy"
    /// `policy.networking.k8s.io`, superseded by ``clusterNetworkPolicy``.
    case adminNetworkPolicy = "AdminNetworkPolicy"
    /// `policy.networking.k8s.io`, superseded by ``clusterNetworkPolicy``.
    case baselineAdminNetworkPolicy = "BaselineAdminNetworkPolicy"
    /// `NetworkPolicy` of `projectcalico.org`.
    case calicoNetworkPolicy = "CalicoNetworkPolicy"
    /// `GlobalNetworkPolicy` of `projectcalico.org`.
    case globalNetworkPolicy = "GlobalNetworkPolicy"
    /// `StagedNetworkPolicy` of `projectcalico.org`.
    case stagedNetworkPolicy = "StagedNetworkPolicy"
    /// `StagedGlobalNetworkPolicy` of `projectcalico.org`.
    case stagedGlobalNetworkPolicy = "StagedGlobalNetworkPolicy"
    /// `StagedKubernetesNetworkPolicy` of `projectcalico.org`.
    case stagedKubernetesNetworkPolicy = "StagedKubernetesNetworkPolicy"
  }
}

extension PolicyName: Comparable, CustomStringConvertible {
  /// By name, then by namespace, then by kind: the order of policies that have the same ``Policy/order``.
  public static func < (left: PolicyName, right: PolicyName) -> Bool {
    (left.name.name, left.name.namespace, left.kind.rawValue)
      < (right.name.name, right.name.namespace, right.kind.rawValue)
  }

  /// The kind and the name in words: `GlobalNetworkPolicy deny-all`.
  public var description: String { "\(kind.rawValue) \(name)" }
}
