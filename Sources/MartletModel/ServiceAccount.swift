/// What a workload runs as; its labels are the workload's as well, for policies.
public struct ServiceAccount: Hashable, Sendable {
  /// The name.
  public var name: NamespacedName
  /// Labels.
  public var labels: [String: String]

  /// A service account with these properties.
  public init(name: NamespacedName, labels: [String: String] = [:]) {
    self.name = name
    self.labels = labels
  }
}
