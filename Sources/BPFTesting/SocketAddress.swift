import Glibc
import MartletNetworking

/// An address and a port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
  /// The address.
  public var address: IPAddress
  /// The port, in host order.
  public var port: UInt16

  /// `port` at `address`.
  public init(_ address: IPAddress, _ port: UInt16) {
    self.address = address
    self.port = port
  }

  /// `10.0.0.1:80` or `[fd50::1]:80`.
  public var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }

  /// The address written as ``description`` writes it, or `nil`.
  public init?(_ text: some StringProtocol) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.first == "[" && host.last == "]" { host = host.dropFirst().dropLast() }
    guard let address = IPAddress(host) else { return nil }
    self.init(address, port)
  }
}

extension SocketAddress {
  var domain: Int32 { address.isIPv4 ? AF_INET : AF_INET6 }

  /// As an IPv6 socket's address, in which IPv4 is mapped.
  init(_ raw: sockaddr_in6) {
    self.init(IPAddress(raw.sin6_addr), UInt16(bigEndian: raw.sin6_port))
  }

  /// Calls `body` with the address in the form of its own family.
  func withRaw<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    if let ipv4 = address.ipv4 {
      var raw = sockaddr_in()
      raw.sin_family = sa_family_t(AF_INET)
      raw.sin_port = port.bigEndian
      raw.sin_addr.s_addr = ipv4.bigEndian
      return Self.erase(&raw, body)
    }
    var raw = sockaddr_in6()
    raw.sin6_family = sa_family_t(AF_INET6)
    raw.sin6_port = port.bigEndian
    raw.sin6_addr = address.raw
    return Self.erase(&raw, body)
  }

  /// The address that `body`, such as `getpeername`, fills in; `nil` if it fails or the family is neither.
  static func read(_ body: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) -> SocketAddress?
  {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    // SAFETY: the storage is large enough and aligned for every family, and is read as the family that it names.
    return withUnsafeMutableBytes(of: &storage) { bytes in
      guard let base = bytes.baseAddress, body(base.assumingMemoryBound(to: sockaddr.self), &length) >= 0 else {
        return nil
      }
      switch Int32(base.load(as: sockaddr.self).sa_family) {
      case AF_INET:
        let raw = base.load(as: sockaddr_in.self)
        return SocketAddress(IPAddress(ipv4: UInt32(bigEndian: raw.sin_addr.s_addr)), UInt16(bigEndian: raw.sin_port))
      case AF_INET6: return SocketAddress(base.load(as: sockaddr_in6.self))
      default: return nil
      }
    }
  }

  private static func erase<Raw, Result>(
    _ raw: inout Raw, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    // SAFETY: every socket address begins as `sockaddr` does, and its true size goes along.
    withUnsafePointer(to: &raw) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Raw>.size)) }
    }
  }
}

extension IPAddress {
  init(_ raw: in6_addr) {
    // SAFETY: sixteen bytes, read as such.
    let bits = withUnsafeBytes(of: raw) { $0.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } }
    self.init(bits: bits)
  }

  /// With IPv4 mapped.
  var raw: in6_addr {
    var raw = in6_addr()
    // SAFETY: sixteen bytes into sixteen bytes.
    withUnsafeMutableBytes(of: &raw) { $0.copyBytes(from: mappedBytes) }
    return raw
  }
}
