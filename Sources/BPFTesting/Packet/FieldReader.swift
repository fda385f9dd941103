/// A named part of a packet.
struct PacketField: Hashable, Sendable {
  var name: String
  var range: Range<Int>
}

/// Reads a packet from its first byte to its last and notes which field was where.
struct FieldReader {
  /// The packet ends within a field.
  struct CutShort: Error {
    var field: String
  }

  let bytes: [UInt8]
  private(set) var fields: [PacketField] = []
  private(set) var position = 0
  /// Where the part that is being read ends, which may be before the packet's end.
  private(set) var end: Int

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    end = bytes.count
  }

  var remaining: Int { end - position }
  /// All that is left, without reading it.
  var rest: ArraySlice<UInt8> { bytes[position..<end] }

  /// Leaves only `count` bytes to be read, if there are as many.
  mutating func limit(to count: Int) { end = min(end, position + count) }

  mutating func bytes(_ count: Int, _ field: String) throws(CutShort) -> [UInt8] {
    guard count <= remaining else { throw CutShort(field: field) }
    if count > 0 { fields.append(PacketField(name: field, range: position..<position + count)) }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  mutating func number<Number: FixedWidthInteger>(_ field: String) throws(CutShort) -> Number {
    try bytes(Number.bitWidth / 8, field).reduce(0) { $0 << 8 | Number(truncatingIfNeeded: $1) }
  }
}
