import MartletNetworking

/// What an ICMP message says, in terms that hold for ICMP and ICMPv6; types and codes follow from the family.
public enum ICMPMessage: Hashable, Sendable {
  /// A ping.
  case echoRequest(identifier: UInt16, sequence: UInt16)
  /// Its answer.
  case echoReply(identifier: UInt16, sequence: UInt16)
  /// The packet could not be delivered.
  case unreachable(Unreachable)
  /// The packet does not fit a link with this MTU in bytes ("fragmentation needed", "packet too big").
  case tooBig(mtu: UInt32)
  /// The TTL or hop limit ran out on the way.
  case timeExceeded
  /// Anything else: `rest` is the second word of the header, in host order.
  case other(type: UInt8, code: UInt8, rest: UInt32)

  /// Why a packet could not be delivered.
  public enum Unreachable: Hashable, Sendable, CaseIterable {
    /// There is no route.
    case noRoute
    /// The address does not answer.
    case host
    /// Nobody listens on the port.
    case port
    /// A rule forbids it.
    case prohibited
  }

  /// Whether the message quotes the packet that it is about.
  public var isError: Bool {
    switch self {
    case .unreachable, .tooBig, .timeExceeded: true
    case .echoRequest, .echoReply, .other: false
    }
  }
}

extension ICMPMessage {
  /// Type, code and second word of the header for a family.
  func header(_ family: AddressFamily) -> (type: UInt8, code: UInt8, rest: UInt32) {
    let isIPv4 = family == .ipv4
    switch self {
    case .echoRequest(let identifier, let sequence):
      return (isIPv4 ? 8 : 128, 0, UInt32(identifier) << 16 | UInt32(sequence))
    case .echoReply(let identifier, let sequence):
      return (isIPv4 ? 0 : 129, 0, UInt32(identifier) << 16 | UInt32(sequence))
    case .unreachable(let reason): return (isIPv4 ? 3 : 1, reason.code(family), 0)
    case .tooBig(let mtu): return isIPv4 ? (3, 4, mtu & 0xffff) : (2, 0, mtu)
    case .timeExceeded: return (isIPv4 ? 11 : 3, 0, 0)
    case .other(let type, let code, let rest): return (type, code, rest)
    }
  }

  /// The message with this header.
  init(family: AddressFamily, type: UInt8, code: UInt8, rest: UInt32) {
    let (identifier, sequence) = (UInt16(rest >> 16), UInt16(truncatingIfNeeded: rest))
    let candidates: [ICMPMessage] =
      [
        .echoRequest(identifier: identifier, sequence: sequence),
        .echoReply(identifier: identifier, sequence: sequence),
        .tooBig(mtu: rest), .timeExceeded,
      ] + Unreachable.allCases.map { .unreachable($0) }
    self = candidates.first { $0.header(family) == (type, code, rest) } ?? .other(type: type, code: code, rest: rest)
  }
}

extension ICMPMessage.Unreachable {
  fileprivate func code(_ family: AddressFamily) -> UInt8 {
    switch (self, family) {
    case (.noRoute, _): 0
    case (.host, .ipv4): 1
    case (.port, .ipv4): 3
    case (.prohibited, .ipv4): 13
    case (.host, .ipv6): 3
    case (.port, .ipv6): 4
    case (.prohibited, .ipv6): 1
    }
  }
}
