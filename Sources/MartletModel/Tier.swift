/// A stage of policy evaluation: policies of one tier come before those of the next.
public struct Tier: Hashable, Sendable {
  /// The name.
  public var name: String
  /// Tiers with a lower number come first; those without one come last. Equal ones go by name.
  public var order: Double?
  /// What becomes of a packet that some policy of the tier applies to and no rule of it matches.
  public var end: End

  /// A tier with these properties.
  public init(name: String, order: Double? = nil, end: End = .deny) {
    self.name = name
    self.order = order
    self.end = end
  }

  /// What a tier does with what none of its rules match.
  public enum End: String, Sendable {
    /// The packet is dropped.
    case deny = "Deny"
    /// The next tier decides.
    case pass = "Pass"
  }

  /// Where `ClusterNetworkPolicy` objects of tier Admin and `AdminNetworkPolicy` objects are.
  public static let kubernetesAdmin = Tier(name: "kube-admin", order: 1_000, end: .pass)
  /// Where `NetworkPolicy` objects are, and those of others that name no tier.
  public static let standard = Tier(name: "default", order: 1_000_000, end: .deny)
  /// Where `ClusterNetworkPolicy` objects of tier Baseline and the `BaselineAdminNetworkPolicy` are.
  public static let kubernetesBaseline = Tier(name: "kube-baseline", order: 10_000_000, end: .pass)

  /// The tiers that are there without anybody creating them, and that nobody can change.
  public static let builtIn = [kubernetesAdmin, standard, kubernetesBaseline]
}

extension Tier: Comparable {
  /// By order, those without one last, then by name.
  public static func < (left: Tier, right: Tier) -> Bool {
    (left.order ?? .infinity, left.name) < (right.order ?? .infinity, right.name)
  }
}
