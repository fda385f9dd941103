/// The protocol above IP: a number of the IANA registry, `IPPROTO_*` in C.
public struct L4Protocol: RawRepresentable, Hashable, Sendable {
  /// The number in the IP header.
  public let rawValue: UInt8

  /// The protocol with this number.
  public init(rawValue: UInt8) {
    self.rawValue = rawValue
  }

  /// ICMP for IPv4, 1.
  public static let icmp = L4Protocol(rawValue: 1)
  /// TCP, 6.
  public static let tcp = L4Protocol(rawValue: 6)
  /// UDP, 17.
  public static let udp = L4Protocol(rawValue: 17)
  /// ICMP for IPv6, 58.
  public static let icmpv6 = L4Protocol(rawValue: 58)
  /// SCTP, 132.
  public static let sctp = L4Protocol(rawValue: 132)

  private static let names: [(protocol: L4Protocol, name: String)] = [
    (.tcp, "TCP"), (.udp, "UDP"), (.sctp, "SCTP"), (.icmp, "ICMP"), (.icmpv6, "ICMPv6"),
  ]

  /// Whether it is ICMP, of either family.
  public var isICMP: Bool { self == .icmp || self == .icmpv6 }

  /// Whether a packet of this protocol has a source and a destination port: TCP, UDP and SCTP.
  public var hasPorts: Bool { self == .tcp || self == .udp || self == .sctp }
}

extension L4Protocol: Comparable {
  /// By number.
  public static func < (left: L4Protocol, right: L4Protocol) -> Bool { left.rawValue < right.rawValue }
}

extension L4Protocol: LosslessStringConvertible {
  /// The protocol with this name, in the spelling of ``description``, or with this decimal number. `nil` otherwise.
  public init?(_ text: String) {
    if let named = Self.names.first(where: { $0.name == text }) {
      self = named.protocol
    } else if let number = UInt8(text), String(number) == text {
      self.init(rawValue: number)
    } else {
      return nil
    }
  }

  /// `TCP`, `UDP`, `SCTP`, `ICMP`, `ICMPv6`, or the number.
  public var description: String {
    Self.names.first { $0.protocol == self }?.name ?? String(rawValue)
  }
}
