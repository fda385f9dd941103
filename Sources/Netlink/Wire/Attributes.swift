/// A run of attributes: `struct nlattr` and value, one after the other.
///
/// Iteration ends before an attribute whose length contradicts the space left, as the kernel's own `nla_for_each` does.
struct Attributes: Sequence, IteratorProtocol {
  /// One attribute, without the flags of its type.
  struct Element {
    let type: UInt16
    let value: ArraySlice<UInt8>
  }

  /// Bytes of `struct nlattr`: length, type.
  static let headerSize = 4
  /// The bits of a type that are not flags (`NLA_TYPE_MASK`).
  private static let typeMask: UInt16 = 0x3fff

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  mutating func next() -> Element? {
    guard let length = rest.load(UInt16.self).map(Int.init), length >= Self.headerSize, length <= rest.count,
      let type = rest.load(UInt16.self, at: 2)
    else { return nil }
    defer { rest = rest.dropFirst(length.alignedToFour) }
    return Element(type: type & Self.typeMask, value: rest.prefix(length).dropFirst(Self.headerSize))
  }
}

extension Attributes.Element {
  /// The value as a 32-bit number in host order.
  var uint32: UInt32? { value.load(UInt32.self) }
  /// The value as one byte.
  var uint8: UInt8? { value.load(UInt8.self) }
  /// The value as text without its terminator.
  var text: String { value.text }
  /// The attributes that the value consists of.
  var nested: Attributes { Attributes(value) }
}
