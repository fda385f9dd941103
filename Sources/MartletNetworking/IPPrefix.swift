/// A range of addresses that share their first bits, written as CIDR: `10.96.0.0/12`, `2001:db8::/32`.
///
/// A prefix is kept in canonical form, with every bit after the first ``length`` clear, so that equal ranges are equal
/// values. Prefixes sort by address and then by length, which puts a range before those inside it.
public struct IPPrefix: Hashable, Sendable {
  /// The lowest address of the range.
  public let address: IPAddress
  /// Leading bits that count, as written: 0 to 32 for IPv4, 0 to 128 for IPv6.
  public let length: Int

  /// What to do with bits after the prefix length, as in `10.1.2.3/8`.
  public enum HostBits: Sendable {
    /// Such text is no prefix. Right where a mistake is more likely than a habit.
    case refused
    /// They are cleared. What Kubernetes does with most CIDR fields.
    case cleared
  }

  /// The range of `address` and all that share its first `length` bits.
  ///
  /// - Precondition: `length` is between 0 and the bit width of the address's family.
  public init(_ address: IPAddress, length: Int) {
    precondition((0...address.family.bitWidth).contains(length), "\(address) cannot have a prefix length of \(length)")
    let hostBits = address.family.bitWidth - length
    // Smart shifts: a shift by 128 leaves 0.
    self.address = IPAddress(bits: (address.bits >> hostBits) << hostBits)
    self.length = length
  }

  /// The range with nothing but `address` in it.
  public init(_ address: IPAddress) {
    self.address = address
    length = address.family.bitWidth
  }

  /// The prefix written as `text`: `ADDRESS/LENGTH`, or a bare address, which is a range of one. `nil` otherwise.
  ///
  /// The length is decimal without leading zeros. An IPv4 address in its mapped IPv6 form is refused with a length,
  /// since it cannot be told which of the two families the length counts in.
  public init?(_ text: some StringProtocol, hostBits: HostBits = .refused) {
    guard let slash = text.firstIndex(of: "/") else {
      guard let address = IPAddress(text) else { return nil }
      self.init(address)
      return
    }
    let written = text[..<slash]
    guard let address = IPAddress(written),
      address.isIPv6 || !written.contains(":"),
      let length = Self.length(text[text.index(after: slash)...]),
      length <= address.family.bitWidth
    else { return nil }
    self.init(address, length: length)
    if hostBits == .refused, self.address != address { return nil }
  }

  private static func length(_ text: some StringProtocol) -> Int? {
    // Int's own parser takes signs and leading zeros as well.
    guard let length = Int(text), String(length) == text, length >= 0 else { return nil }
    return length
  }

  /// The address family.
  public var family: AddressFamily { address.family }

  /// Leading bits that count in the 128-bit form: 96 more than ``length`` for IPv4. What a longest-prefix-match map
  /// wants.
  public var mappedLength: Int { length + 128 - family.bitWidth }

  /// Every address of a family: `0.0.0.0/0` or `::/0`.
  public static func all(_ family: AddressFamily) -> IPPrefix {
    IPPrefix(.unspecified(family), length: 0)
  }

  /// The highest address of the range.
  public var lastAddress: IPAddress {
    let hostBits = family.bitWidth - length
    return IPAddress(bits: address.bits | ~((UInt128.max >> hostBits) << hostBits))
  }

  /// Whether `address` is in the range. `::/0` contains every IPv6 address and no IPv4 address, though the 128 bits of
  /// the latter's mapped form would match.
  public func contains(_ address: IPAddress) -> Bool {
    address.family == family && (address.bits ^ self.address.bits) >> (family.bitWidth - length) == 0
  }

  /// Whether every address of `other` is in the range.
  public func contains(_ other: IPPrefix) -> Bool {
    other.length >= length && contains(other.address)
  }

  /// Whether some address is in both ranges: one contains the other.
  public func overlaps(_ other: IPPrefix) -> Bool {
    contains(other) || other.contains(self)
  }
}

extension IPPrefix: Comparable {
  /// By address, then by length.
  public static func < (left: IPPrefix, right: IPPrefix) -> Bool {
    (left.address, left.length) < (right.address, right.length)
  }
}

extension IPPrefix: LosslessStringConvertible {
  /// The prefix written as `text`, whose host bits must be clear.
  public init?(_ description: String) {
    self.init(description, hostBits: .refused)
  }

  /// `ADDRESS/LENGTH`, with the length even when it is the whole address.
  public var description: String { "\(address)/\(length)" }
}

extension IPAddress {
  /// This address with all but its first `length` bits cleared.
  ///
  /// - Precondition: `length` is between 0 and the bit width of the family.
  public func masked(to length: Int) -> IPAddress {
    IPPrefix(self, length: length).address
  }
}
