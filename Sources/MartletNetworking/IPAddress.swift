/// An IPv4 or IPv6 address.
///
/// Both families are one 128-bit value: an IPv4 address `a.b.c.d` is stored as the mapped address `::ffff:a.b.c.d`
/// (RFC 4291, 2.5.5.2). Code that compares, hashes or stores addresses need not know the family, and a table keyed by
/// address holds both.
///
/// ```swift
/// let service = try #require(IPAddress("10.96.0.10"))
/// service.family                       // .ipv4
/// IPAddress("2001:DB8::0:1")?.description  // "2001:db8::1"
/// IPAddress("10.96.0.010")             // nil: octal or decimal? refused
/// ```
///
/// The mapped form of an IPv4 address *is* that IPv4 address: `::ffff:10.96.0.10` parses as `10.96.0.10` and prints so.
/// Scoped addresses (`fe80::1%eth0`) are not addresses but an address and an interface, and do not parse.
///
/// Order is numeric, so all IPv4 addresses are adjacent. Every operation takes constant time and none but printing
/// allocates.
public struct IPAddress: Hashable, Sendable {
  /// The first eight bytes, most significant first, as a number in host order. 0 for IPv4.
  public let high: UInt64
  /// The last eight bytes, likewise. For IPv4, `0x0000_ffff` followed by the address.
  public let low: UInt64

  /// The address whose first eight bytes are `high` and last eight `low`, both in host order.
  ///
  /// A value read from the wire or from a map is big-endian: pass `UInt64(bigEndian: value)`.
  @inlinable
  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// The address with the given 128 bits; the first byte of the address is the most significant.
  @inlinable
  public init(bits: UInt128) {
    self.init(high: UInt64(truncatingIfNeeded: bits >> 64), low: UInt64(truncatingIfNeeded: bits))
  }

  /// The IPv4 address with the given number in host order: `0x7f00_0001` is `127.0.0.1`.
  @inlinable
  public init(ipv4 number: UInt32) {
    self.init(high: 0, low: Self.mappedMarker | UInt64(number))
  }

  /// The IPv4 address `a.b.c.d`.
  @inlinable
  public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
    self.init(ipv4: UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d))
  }

  /// The address in network byte order: four bytes are IPv4, sixteen IPv6. `nil` for any other count.
  public init?(bytes: some Collection<UInt8>) {
    switch bytes.count {
    case 4: self.init(ipv4: bytes.reduce(0) { $0 << 8 | UInt32($1) })
    case 16: self.init(bits: bytes.reduce(0) { $0 << 8 | UInt128($1) })
    default: return nil
    }
  }

  /// `::ffff:0:0`, the upper bits that tell an IPv4 address, as they stand in `low`.
  @usableFromInline static let mappedMarker: UInt64 = 0xffff << 32

  /// All 128 bits; the first byte of the address is the most significant.
  @inlinable
  public var bits: UInt128 { UInt128(high) << 64 | UInt128(low) }

  /// Whether this is an IPv4 address.
  @inlinable
  public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

  /// Whether this is an IPv6 address.
  @inlinable
  public var isIPv6: Bool { !isIPv4 }

  /// The address family.
  @inlinable
  public var family: AddressFamily { isIPv4 ? .ipv4 : .ipv6 }

  /// The IPv4 address as a number in host order, or `nil` for IPv6.
  @inlinable
  public var ipv4: UInt32? { isIPv4 ? UInt32(truncatingIfNeeded: low) : nil }

  /// The bytes in network order: four for IPv4, sixteen for IPv6.
  public var bytes: [UInt8] { Array(mappedBytes.suffix(family.bitWidth / 8)) }

  /// The sixteen bytes in network order, IPv4 in its mapped form: what a map's key holds.
  public var mappedBytes: [UInt8] {
    let bits = bits
    return (0..<16).map { UInt8(truncatingIfNeeded: bits >> (120 - 8 * $0)) }
  }
}

extension IPAddress: Comparable {
  /// Numeric order of the 128 bits.
  @inlinable
  public static func < (left: IPAddress, right: IPAddress) -> Bool {
    (left.high, left.low) < (right.high, right.low)
  }
}

// MARK: - What an address is for

extension IPAddress {
  /// `0.0.0.0` or `::`.
  public static func unspecified(_ family: AddressFamily) -> IPAddress {
    family == .ipv4 ? IPAddress(ipv4: 0) : IPAddress(bits: 0)
  }

  /// Whether this is `0.0.0.0` or `::`.
  public var isUnspecified: Bool { self == .unspecified(family) }

  /// Whether this is in `127.0.0.0/8` or is `::1`.
  public var isLoopback: Bool { ipv4.map { $0 >> 24 == 127 } ?? (bits == 1) }

  /// Whether this is in `224.0.0.0/4` or `ff00::/8`.
  public var isMulticast: Bool { ipv4.map { $0 >> 28 == 0xe } ?? (high >> 56 == 0xff) }

  /// Whether this is in `169.254.0.0/16` or `fe80::/10`.
  public var isLinkLocal: Bool { ipv4.map { $0 >> 16 == 0xa9fe } ?? (high >> 54 == 0x3fa) }
}
