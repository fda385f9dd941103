import MartletNetworking

/// A port that no policy of a host endpoint closes, so that a wrong policy does not shut everybody out of the host.
///
/// It counts for what the host itself sends and receives, not for what it forwards.
public struct FailsafePort: Hashable, Sendable {
  /// The protocol: TCP, UDP or SCTP.
  public var `protocol`: L4Protocol
  /// The port, 1 to 65535: of this host if inbound, of the other end if outbound.
  public var port: UInt16
  /// Addresses of the other end that it is open for. `nil`: every address.
  public var prefix: IPPrefix?

  /// The port of `protocol`, for the addresses in `prefix` or for all.
  public init(_ protocol: L4Protocol, _ port: UInt16, prefix: IPPrefix? = nil) {
    self.protocol = `protocol`
    self.port = port
    self.prefix = prefix
  }

  /// What others reach unless configured otherwise: SSH, BGP, etcd, Typha, the API server, and DHCP's answers. The same
  /// as Calico's.
  public static let standardInbound =
    [22, 179, 2379, 2380, 5473, 6443, 6666, 6667].map { FailsafePort(.tcp, $0) } + [FailsafePort(.udp, 68)]

  /// What the host reaches unless configured otherwise: DNS, DHCP, BGP, etcd, Typha and the API server. The same as
  /// Calico's.
  public static let standardOutbound =
    [53, 67].map { FailsafePort(.udp, $0) } + [179, 2379, 2380, 5473, 6443, 6666, 6667].map { FailsafePort(.tcp, $0) }
}

/// Text that is no failsafe port.
public struct FailsafePortError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong and what would be right.
  public var description: String
}

extension FailsafePort {
  /// The ports written as `text`: `none`, or one or more with commas between them.
  ///
  /// - Throws: ``FailsafePortError``.
  public static func list(parsing text: String) throws(FailsafePortError) -> [FailsafePort] {
    if text == "none" { return [] }
    var ports: [FailsafePort] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let trimmed = part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
      ports.append(try FailsafePort(parsing: String(trimmed)))
    }
    return ports
  }

  /// The port written as `text`: `PROTOCOL:PORT` or `PROTOCOL:CIDR:PORT`, where an IPv6 range goes between brackets, as
  /// in `tcp:22`, `tcp:10.0.0.0/8:22` or `tcp:[fd00::/8]:22`.
  ///
  /// - Throws: ``FailsafePortError``.
  public init(parsing text: String) throws(FailsafePortError) {
    guard let first = text.firstIndex(of: ":"), let last = text.lastIndex(of: ":") else {
      throw FailsafePortError(
        description: "\"\(text)\" is not a port such as tcp:22, tcp:10.0.0.0/8:22 or tcp:[fd00::/8]:22")
    }
    let name = text[..<first]
    guard let known = L4Protocol(name.uppercased()), known.hasPorts else {
      throw FailsafePortError(description: "\"\(name)\" in \"\(text)\" is not one of tcp, udp, sctp")
    }
    let number = text[text.index(after: last)...]
    guard let port = UInt16(number), String(port) == number, port != 0 else {
      throw FailsafePortError(description: "\"\(number)\" in \"\(text)\" is not a port (1 to 65535)")
    }
    self.init(known, port)
    if first != last { prefix = try Self.prefix(text[text.index(after: first)..<last], in: text) }
  }

  private static func prefix(_ range: Substring, in text: String) throws(FailsafePortError) -> IPPrefix {
    let isBracketed = range.hasPrefix("[") && range.hasSuffix("]")
    guard let prefix = IPPrefix(isBracketed ? range.dropFirst().dropLast() : range),
      isBracketed == (prefix.family == .ipv6)
    else {
      throw FailsafePortError(
        description: "\"\(range)\" in \"\(text)\" is not a range of addresses such as 10.0.0.0/8 or [fd00::/8]")
    }
    return prefix
  }
}

extension FailsafePort: CustomStringConvertible {
  /// As ``init(parsing:)`` reads it.
  public var description: String {
    let range = prefix.map { $0.family == .ipv6 ? "[\($0)]:" : "\($0):" } ?? ""
    return "\(`protocol`.description.lowercased()):\(range)\(port)"
  }
}
