/// The version of the Internet Protocol.
public enum AddressFamily: String, Sendable, Hashable, CaseIterable {
  case ipv4 = "IPv4"
  case ipv6 = "IPv6"

  /// Bits in an address of this family: 32 or 128.
  public var bitWidth: Int {
    switch self {
    case .ipv4: 32
    case .ipv6: 128
    }
  }
}

extension AddressFamily: Comparable {
  /// IPv4 sorts before IPv6.
  public static func < (left: AddressFamily, right: AddressFamily) -> Bool {
    left.bitWidth < right.bitWidth
  }
}

extension AddressFamily: CustomStringConvertible {
  /// `IPv4` or `IPv6`.
  public var description: String { rawValue }
}
