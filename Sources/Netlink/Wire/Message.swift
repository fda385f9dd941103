/// One netlink message as received: `struct nlmsghdr` and what follows.
struct Message {
  /// Bytes of `struct nlmsghdr`: length, type, flags, sequence number, port.
  static let headerSize = 16

  let type: MessageType
  let flags: MessageFlags
  let sequence: UInt32
  let payload: ArraySlice<UInt8>

  /// Splits a datagram into its messages; `nil` if a length field contradicts the datagram's.
  static func messages(in datagram: ArraySlice<UInt8>) -> [Message]? {
    var messages: [Message] = []
    var rest = datagram
    while !rest.isEmpty {
      guard let length = rest.load(UInt32.self).map(Int.init), length >= headerSize, length <= rest.count,
        let type = rest.load(UInt16.self, at: 4),
        let flags = rest.load(UInt16.self, at: 6),
        let sequence = rest.load(UInt32.self, at: 8)
      else { return nil }
      messages.append(
        Message(
          type: MessageType(rawValue: type), flags: MessageFlags(rawValue: flags), sequence: sequence,
          payload: rest.prefix(length).dropFirst(headerSize)))
      rest = rest.dropFirst(length.alignedToFour)
    }
    return messages
  }

  /// The attributes after a family header of `headerSize` bytes.
  func attributes(after headerSize: Int) -> Attributes {
    Attributes(payload.dropFirst(headerSize.alignedToFour))
  }
}

extension Int {
  /// Rounded up to the four bytes that netlink aligns everything to (`NLMSG_ALIGN`, `NLA_ALIGN`).
  var alignedToFour: Int { (self + 3) & ~3 }
}

extension ArraySlice<UInt8> {
  /// The integer in host order at `offset` from the slice's start; `nil` if it is not all there.
  func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, at offset: Int = 0) -> T? {
    guard offset + MemoryLayout<T>.size <= count else { return nil }
    // SAFETY: the bounds were checked, the load need not be aligned, and every bit pattern is an integer.
    return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
  }

  /// The text up to the first zero byte or the end.
  var text: String { String(decoding: prefix { $0 != 0 }, as: UTF8.self) }
}
