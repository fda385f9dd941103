import MartletNetworking

/// Interfaces of a node that policies protect.
///
/// Where there is one, what the node itself sends and receives through those interfaces is denied unless a policy, a
/// profile or a failsafe port allows it.
public struct HostEndpoint: Hashable, Sendable {
  /// The name.
  public var name: String
  /// Labels.
  public var labels: [String: String]
  /// The name of the node.
  public var node: String
  /// The interface: its name, or `*` for all of the node's. `nil`: the one that has one of ``expectedAddresses``.
  public var interface: String?
  /// Addresses by which policies know it, and its interface if that is not named.
  public var expectedAddresses: [IPAddress]
  /// The names of the ``Profile``s that decide where no tier has, in order.
  public var profiles: [String]
  /// Ports that have a name.
  public var ports: [Workload.Port]

  /// A host endpoint with these properties.
  public init(
    name: String, labels: [String: String] = [:], node: String, interface: String? = nil,
    expectedAddresses: [IPAddress] = [], profiles: [String] = [], ports: [Workload.Port] = []
  ) {
    self.name = name
    self.labels = labels
    self.node = node
    self.interface = interface
    self.expectedAddresses = expectedAddresses
    self.profiles = profiles
    self.ports = ports
  }

  /// What ``interface`` is where it stands for every interface of the node.
  public static let everyInterface = "*"
}
