import MartletNetworking

/// Ranges that cluster IPs are allocated from, as an object of the cluster; ``Configuration/serviceCIDRs`` are those that
/// a node is told of.
public struct ServiceRange: Hashable, Sendable {
  /// The object's name.
  public var name: String
  /// The ranges, one a family.
  public var prefixes: [IPPrefix]

  /// Ranges called `name`.
  public init(name: String, prefixes: [IPPrefix] = []) {
    self.name = name
    self.prefixes = prefixes
  }
}
