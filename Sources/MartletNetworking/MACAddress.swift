/// An Ethernet address.
public struct MACAddress: Hashable, Sendable {
  /// The 48 bits; the first byte on the wire is the most significant.
  public let bits: UInt64

  /// The address with the given low 48 bits; the upper 16 are ignored.
  public init(bits: UInt64) {
    self.bits = bits & 0xffff_ffff_ffff
  }

  /// The address `a:b:c:d:e:f`.
  public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, _ e: UInt8, _ f: UInt8) {
    self.init(bits: [a, b, c, d, e, f].reduce(0) { $0 << 8 | UInt64($1) })
  }

  /// The address with these six bytes, as on the wire. `nil` for any other count.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 6 else { return nil }
    self.init(bits: bytes.reduce(0) { $0 << 8 | UInt64($1) })
  }

  /// The six bytes, as on the wire.
  public var bytes: [UInt8] {
    (0..<6).map { UInt8(truncatingIfNeeded: bits >> (40 - 8 * $0)) }
  }

  /// `ff:ff:ff:ff:ff:ff`.
  public static let broadcast = MACAddress(bits: .max)

  /// Whether this is the broadcast address or that of a group.
  public var isMulticast: Bool { bits >> 40 & 1 == 1 }

  /// Whether the address was made up locally rather than assigned by a vendor.
  public var isLocallyAdministered: Bool { bits >> 41 & 1 == 1 }
}

extension MACAddress: LosslessStringConvertible {
  /// The address written as six pairs of hexadecimal digits with colons between them, or `nil`.
  public init?(_ text: String) {
    let utf8 = Array(text.utf8)
    guard utf8.count == 17 else { return nil }
    var bits: UInt64 = 0
    for (index, byte) in utf8.enumerated() {
      if index % 3 == 2 {
        guard byte == UInt8(ascii: ":") else { return nil }
      } else {
        guard let digit = hexDigit(byte) else { return nil }
        bits = bits << 4 | UInt64(digit)
      }
    }
    self.init(bits: bits)
  }

  /// Six pairs of lower-case hexadecimal digits with colons between them.
  public var description: String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: ":")
  }
}
