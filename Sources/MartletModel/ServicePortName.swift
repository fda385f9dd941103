import MartletNetworking

/// What a load-balancing decision belongs to: one port of one service.
///
/// All frontends of the port share its endpoints, affinity and counters, whichever address they have.
public struct ServicePortName: Hashable, Sendable {
  /// The service.
  public let service: NamespacedName
  /// The port's name; empty if it has none.
  public let port: String
  /// The port's protocol.
  public let `protocol`: L4Protocol

  /// The port called `port` of `service`.
  public init(service: NamespacedName, port: String, protocol: L4Protocol) {
    self.service = service
    self.port = port
    self.protocol = `protocol`
  }
}

extension ServicePortName: Comparable {
  /// By service, port and protocol.
  public static func < (left: ServicePortName, right: ServicePortName) -> Bool {
    (left.service, left.port, left.protocol) < (right.service, right.port, right.protocol)
  }
}

extension ServicePortName: CustomStringConvertible {
  /// `namespace/name:port/TCP`.
  public var description: String { "\(service):\(port)/\(`protocol`)" }
}
