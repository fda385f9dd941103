/// How one packet differs from another, byte by byte and in the words of the headers.
///
/// ```swift
/// #expect(PacketDifference(expected: request.bytes, actual: result.output) == nil)
/// ```
///
/// A failure of this expectation prints
///
///     26..<30 IPv4 source: 0a 60 00 0a, should be 0a 00 00 02
public struct PacketDifference: Hashable, Sendable, CustomStringConvertible {
  /// The fields that differ, one line each: bytes, name, what is there and what should be.
  public let lines: [String]

  /// Compares two packets; `nil` if they are equal.
  public init?(expected: [UInt8], actual: [UInt8], startingWith start: ParsedPacket.Start = .ethernet) {
    guard expected != actual else { return nil }
    let fields = ParsedPacket(expected, startingWith: start).fields
    var lines = fields.compactMap { Self.line($0, expected, actual) }
    if expected.count != actual.count {
      lines.append("length: \(actual.count) bytes, should be \(expected.count)")
    }
    let covered = fields.last?.range.upperBound ?? 0
    let common = min(expected.count, actual.count)
    if covered < common {
      lines += [Self.line(PacketField(name: "trailer", range: covered..<common), expected, actual)].compactMap(\.self)
    }
    self.lines = lines
  }

  /// All lines.
  public var description: String { lines.joined(separator: "\n") }

  private static func line(_ field: PacketField, _ expected: [UInt8], _ actual: [UInt8]) -> String? {
    // Of a long field, such as the payload, only what is between its first and its last difference.
    let differing = field.range.filter { $0 < actual.count && $0 < expected.count && expected[$0] != actual[$0] }
    guard let first = differing.first, let last = differing.last else { return nil }
    let range = field.range.count <= 16 ? field.range.clamped(to: 0..<actual.count) : first..<last + 1
    return "\(range) \(field.name): \(hex(actual, range)), should be \(hex(expected, range))"
  }

  private static func hex(_ bytes: [UInt8], _ range: Range<Int>) -> String {
    let shown = bytes[range].prefix(32).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
    return range.count > 32 ? shown + " …" : shown
  }
}
