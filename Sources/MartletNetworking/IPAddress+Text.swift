extension IPAddress: LosslessStringConvertible {
  /// The address written as `text`, or `nil`.
  ///
  /// IPv4 is four decimal numbers without leading zeros, which some parsers take for octal. IPv6 is any form of
  /// RFC 4291, 2.2. Nothing may stand before or after the address: no blanks, brackets, zone or prefix length.
  public init?(_ text: some StringProtocol) {
    let text = String(text)
    self.init(utf8: text.utf8Span.span)
  }

  init?(utf8 text: Span<UInt8>) {
    var cursor = 0
    let bits =
      text.indices.contains { text[$0] == UInt8(ascii: ":") }
      ? Self.parseIPv6(text, &cursor) : Self.parseIPv4(text, &cursor).map { IPAddress(ipv4: $0).bits }
    guard let bits, cursor == text.count else { return nil }
    self.init(bits: bits)
  }

  /// The canonical form: dotted decimal for IPv4, RFC 5952 for IPv6.
  public var description: String {
    if let ipv4 {
      return "\(ipv4 >> 24).\(ipv4 >> 16 & 0xff).\(ipv4 >> 8 & 0xff).\(ipv4 & 0xff)"
    }
    let bits = bits
    let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> (112 - 16 * $0)) }
    func text(_ part: ArraySlice<UInt16>) -> String {
      part.map { String($0, radix: 16) }.joined(separator: ":")
    }
    guard let zeros = Self.longestRunOfZeros(in: groups) else { return text(groups[...]) }
    return text(groups[..<zeros.lowerBound]) + "::" + text(groups[zeros.upperBound...])
  }

  /// The run that `::` stands for: the longest, the first of several, and never a single group (RFC 5952, 4.2).
  private static func longestRunOfZeros(in groups: [UInt16]) -> Range<Int>? {
    var longest = 0..<1
    var start = 0
    for (index, group) in groups.enumerated() {
      if group != 0 {
        start = index + 1
      } else if index + 1 - start > longest.count {
        longest = start..<index + 1
      }
    }
    return longest.count > 1 ? longest : nil
  }
}

// MARK: - Parsing

extension IPAddress {
  /// Reads four decimal octets from `cursor` on, which is left behind them.
  private static func parseIPv4(_ text: Span<UInt8>, _ cursor: inout Int) -> UInt32? {
    var number: UInt32 = 0
    for octet in 0..<4 {
      if octet > 0, !consume(".", text, &cursor) { return nil }
      guard let value = parseNumber(text, &cursor, radix: 10, digits: 3), value < 256 else { return nil }
      number = number << 8 | value
    }
    return number
  }

  /// Reads groups from `cursor` on, which is left at the first byte that does not belong to the address.
  private static func parseIPv6(_ text: Span<UInt8>, _ cursor: inout Int) -> UInt128? {
    var bits: UInt128 = 0
    var groups = 0
    /// Groups before `::`, once it is seen.
    var gap: Int?

    if consume(":", times: 2, text, &cursor) { gap = 0 }
    while groups < 8, cursor < text.count {
      let start = cursor
      guard let group = parseNumber(text, &cursor, radix: 16, digits: 4) else { break }
      if cursor < text.count, text[cursor] == UInt8(ascii: ".") {
        cursor = start
        guard groups <= 6, let tail = parseIPv4(text, &cursor) else { return nil }
        bits = bits << 32 | UInt128(tail)
        groups += 2
        break
      }
      bits = bits << 16 | UInt128(group)
      groups += 1
      if gap == nil, consume(":", times: 2, text, &cursor) {
        gap = groups
      } else if groups == 8 || !consume(":", text, &cursor) {
        break
      } else if cursor == text.count {
        return nil  // ends with a single colon
      }
    }
    return expand(bits, groups: groups, gap: gap)
  }

  /// Puts the zero groups that `::` stands for behind the first `gap` of `groups` groups.
  private static func expand(_ bits: UInt128, groups: Int, gap: Int?) -> UInt128? {
    guard let gap else { return groups == 8 ? bits : nil }
    guard groups < 8 else { return nil }
    let tailBits = 16 * (groups - gap)
    let tail = bits & ((1 << tailBits) - 1)
    // Smart shifts: with no group before the gap, the shift by 128 leaves 0.
    return (bits >> tailBits) << (16 * (8 - gap)) | tail
  }

  /// Reads one to `digits` digits. Decimal numbers must not begin with a zero that is not all of them.
  private static func parseNumber(_ text: Span<UInt8>, _ cursor: inout Int, radix: UInt32, digits: Int) -> UInt32? {
    let start = cursor
    var number: UInt32 = 0
    while cursor < text.count, let digit = hexDigit(text[cursor]), digit < radix {
      if cursor - start == digits { return nil }
      if radix == 10, cursor > start, number == 0 { return nil }
      number = number * radix + digit
      cursor += 1
    }
    return cursor > start ? number : nil
  }

  private static func consume(_ byte: Unicode.Scalar, times: Int = 1, _ text: Span<UInt8>, _ cursor: inout Int) -> Bool
  {
    guard cursor + times <= text.count else { return false }
    for index in cursor..<cursor + times where text[index] != UInt8(ascii: byte) { return false }
    cursor += times
    return true
  }
}

/// The value of a hexadecimal digit in ASCII.
func hexDigit(_ byte: UInt8) -> UInt32? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - UInt8(ascii: "0"))
  case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte - UInt8(ascii: "a")) + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte - UInt8(ascii: "A")) + 10
  default: nil
  }
}
