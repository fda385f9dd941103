/// A division of the cluster, whose labels policies select by.
public struct Namespace: Hashable, Sendable {
  /// The name.
  public var name: String
  /// Labels.
  public var labels: [String: String]

  /// A namespace with these properties.
  public init(name: String, labels: [String: String] = [:]) {
    self.name = name
    self.labels = labels
  }
}
