/// Puts a request together: header, family header, attributes.
struct MessageBuilder {
  private var bytes: [UInt8] = []

  /// Bit of an attribute's type that says that its value is attributes (`NLA_F_NESTED`). The kernel's strict parsing
  /// wants it where the policy is newer than 5.2.
  private static let nestedFlag: UInt16 = 0x8000

  /// A message of `type`. Length and sequence number are filled in by ``finished(sequence:)``.
  init(_ type: MessageType, flags: MessageFlags = []) {
    append(UInt32(0))
    append(type.rawValue)
    append(flags.rawValue)
    append(UInt32(0))
    append(UInt32(0))
  }

  /// Adds flags to the header.
  mutating func insert(_ flags: MessageFlags) {
    let present = bytes[...].load(UInt16.self, at: 6) ?? 0
    store(present | flags.rawValue, at: 6)
  }

  /// Adds an integer in host order.
  mutating func append<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
  }

  /// Adds an attribute with an integer in host order.
  mutating func attribute<T: FixedWidthInteger & BitwiseCopyable>(_ type: UInt16, _ value: T) {
    attribute(type) { $0.append(value) }
  }

  /// Adds an attribute with the bytes as they are.
  mutating func attribute(_ type: UInt16, bytes value: [UInt8]) {
    attribute(type) { $0.bytes.append(contentsOf: value) }
  }

  /// Adds an attribute with a zero-terminated string.
  mutating func attribute(_ type: UInt16, string: String) {
    attribute(type, bytes: Array(string.utf8) + [0])
  }

  /// Adds an attribute that consists of those which `body` adds.
  mutating func nested(_ type: UInt16, _ body: (inout MessageBuilder) -> Void) {
    attribute(type | Self.nestedFlag, body)
  }

  /// Adds records that begin with their own length, as the next hops in a route do.
  mutating func records<Record>(
    _ type: UInt16, _ records: [Record], _ body: (Record, inout MessageBuilder) -> Void
  ) {
    attribute(type) { value in
      for record in records { value.counted { body(record, &$0) } }
    }
  }

  /// Adds an attribute whose value is what `body` appends.
  private mutating func attribute(_ type: UInt16, _ body: (inout MessageBuilder) -> Void) {
    counted {
      $0.append(type)
      body(&$0)
    }
  }

  /// Appends what `body` does, after two bytes that count it and themselves.
  private mutating func counted(_ body: (inout MessageBuilder) -> Void) {
    let start = bytes.count
    append(UInt16(0))
    body(&self)
    store(UInt16(bytes.count - start), at: start)
    pad()
  }

  /// The whole message, for sending.
  consuming func finished(sequence: UInt32) -> [UInt8] {
    store(UInt32(bytes.count), at: 0)
    store(sequence, at: 8)
    return bytes
  }

  private mutating func pad() {
    bytes.append(contentsOf: repeatElement(0, count: bytes.count.alignedToFour - bytes.count))
  }

  private mutating func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    withUnsafeBytes(of: value) { bytes.replaceSubrange(offset..<offset + MemoryLayout<T>.size, with: $0) }
  }
}
