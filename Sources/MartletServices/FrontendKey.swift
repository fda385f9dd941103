import CBPF
import MartletNetworking

/// Where a service answers: an address, a port and a protocol.
public struct FrontendKey: Hashable, Sendable {
  /// The address that clients send to.
  public let address: IPAddress
  /// The port that clients send to, host order.
  public let port: UInt16
  /// TCP, UDP or SCTP.
  public let `protocol`: L4Protocol

  /// The frontend at `address`, `port` (host order).
  public init(address: IPAddress, port: UInt16, protocol: L4Protocol) {
    self.address = address
    self.port = port
    self.protocol = `protocol`
  }

  /// The frontend that a key of map `frontends` stands for.
  public init(_ key: frontend_key) {
    self.init(
      address: IPAddress(key.address), port: UInt16(bigEndian: key.port),
      protocol: L4Protocol(rawValue: key.protocol))
  }

  /// The key of map `frontends`.
  public var key: frontend_key {
    frontend_key(
      address: ip_address(address), port: port.bigEndian, protocol: `protocol`.rawValue, reserved: (0, 0, 0, 0, 0))
  }
}

extension FrontendKey: Comparable {
  /// By address, port and protocol.
  public static func < (left: FrontendKey, right: FrontendKey) -> Bool {
    (left.address, left.port, left.protocol.rawValue) < (right.address, right.port, right.protocol.rawValue)
  }
}

extension FrontendKey: CustomStringConvertible {
  /// `10.96.0.10:80/TCP`.
  public var description: String {
    address.isIPv6 ? "[\(address)]:\(port)/\(`protocol`)" : "\(address):\(port)/\(`protocol`)"
  }
}

/// What kind of address a frontend has. It decides which traffic policy governs, and who gets an address and port that
/// two services claim: the class that comes first.
public enum FrontendClass: UInt8, Hashable, Sendable, CaseIterable {
  /// A cluster IP: governed by the internal traffic policy.
  case clusterIP
  /// An address of the load balancer: governed by the external traffic policy, guarded by the source ranges.
  ///
  /// Comes before external IPs, so that nobody gets round the ranges by listing the address there.
  case loadBalancer
  /// An external IP: governed by the external traffic policy.
  case externalIP
  /// A node's address with a node port: governed by the external traffic policy.
  case nodePort

  /// Whether the external traffic policy governs.
  public var isExternal: Bool { self != .clusterIP }
}

extension FrontendClass: Comparable {
  /// By precedence: who comes first has an address and port that two claim.
  public static func < (left: FrontendClass, right: FrontendClass) -> Bool { left.rawValue < right.rawValue }
}
