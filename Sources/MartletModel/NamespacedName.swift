/// The name of an object that lives in a namespace.
public struct NamespacedName: Hashable, Sendable {
  /// The namespace. Empty for an object of the whole cluster.
  public let namespace: String
  /// The name within the namespace.
  public let name: String

  /// The object `name` of `namespace`.
  public init(namespace: String, name: String) {
    self.namespace = namespace
    self.name = name
  }
}

extension NamespacedName: Comparable {
  /// By namespace, then by name.
  public static func < (left: NamespacedName, right: NamespacedName) -> Bool {
    (left.namespace, left.name) < (right.namespace, right.name)
  }
}

extension NamespacedName: CustomStringConvertible {
  /// `namespace/name`, or just the name of an object of the whole cluster.
  public var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }
}
