/// Rules for endpoints that no tier has decided about, and labels that those endpoints inherit.
///
/// Each namespace and each service account has one without anybody creating it, ``ofNamespace(_:)`` and
/// ``ofServiceAccount(_:)``: the former allows everything.
public struct Profile: Hashable, Sendable {
  /// The name.
  public var name: String
  /// Labels that endpoints with the profile have, unless they have them themselves.
  public var labels: [String: String]
  /// Rules for what an endpoint receives.
  public var ingress: [PolicyRule]
  /// Rules for what an endpoint sends.
  public var egress: [PolicyRule]

  /// A profile with these properties.
  public init(name: String, labels: [String: String] = [:], ingress: [PolicyRule] = [], egress: [PolicyRule] = []) {
    self.name = name
    self.labels = labels
    self.ingress = ingress
    self.egress = egress
  }

  /// The rules for `direction`.
  public func rules(_ direction: PolicyDirection) -> [PolicyRule] {
    direction == .ingress ? ingress : egress
  }

  /// The profile that allows everything, which automatic host endpoints have.
  public static let defaultAllow = Profile(
    name: "projectcalico-default-allow", ingress: [PolicyRule(.allow)], egress: [PolicyRule(.allow)])

  /// The name of the profile of a namespace.
  public static func ofNamespace(_ namespace: String) -> String { "kns.\(namespace)" }

  /// The name of the profile of a service account.
  public static func ofServiceAccount(_ account: NamespacedName) -> String {
    "ksa.\(account.namespace).\(account.name)"
  }
}
