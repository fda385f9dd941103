import MartletNetworking

/// Addresses that policies select by labels, as if they were endpoints.
public struct NetworkSet: Hashable, Sendable {
  /// The name; of the whole cluster if its namespace is empty.
  public var name: NamespacedName
  /// Labels.
  public var labels: [String: String]
  /// The addresses. The same range may be in several sets, and be a workload's as well.
  public var prefixes: [IPPrefix]

  /// A set with these properties.
  public init(name: NamespacedName, labels: [String: String] = [:], prefixes: [IPPrefix] = []) {
    self.name = name
    self.labels = labels
    self.prefixes = prefixes
  }
}
