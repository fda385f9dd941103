import CBPF

/// A type in a libbpf BTF object, with `typedef` and qualifiers stripped.
///
/// Valid only while the BTF object is.
struct BTFReader {
  private let btf: OpaquePointer
  private let type: UnsafePointer<btf_type>
  private let id: UInt32

  /// Type `typeID` of `btf`; `nil` if there is no such type or it has no size.
  init?(_ btf: OpaquePointer, typeID: UInt32) {
    let resolved = btf__resolve_type(btf, typeID)
    guard resolved >= 0, let type = btf__type_by_id(btf, UInt32(resolved)) else { return nil }
    guard btf__resolve_size(btf, UInt32(resolved)) >= 0 else { return nil }
    (self.btf, self.type, id) = (btf, type, UInt32(resolved))
  }

  var name: String { Self.string(btf, type.pointee.name_off) }

  /// Bytes.
  var size: Int { Int(btf__resolve_size(btf, id)) }

  /// The scalar members of this type, which lies `bitOffset` bits into the outermost one.
  func members(path: String, bitOffset: Int, bitSize: Int? = nil) -> [BTFLayout.Member] {
    if let fields { return fields.flatMap { $0.members(path: path, bitOffset: bitOffset) } }
    if let array = compositeArray {
      return (0..<array.count).flatMap { index in
        array.element.members(path: "\(path)[\(index)]", bitOffset: bitOffset + index * array.element.size * 8)
      }
    }
    return [.init(name: path, bitOffset: bitOffset, bitSize: bitSize ?? size * 8)]
  }

  /// A member of a struct or union.
  private struct Field {
    let name: String
    let type: BTFReader
    let bitOffset: Int
    let bitSize: Int?

    func members(path: String, bitOffset base: Int) -> [BTFLayout.Member] {
      let path = [path, name].filter { !$0.isEmpty }.joined(separator: ".")
      return type.members(path: path, bitOffset: base + bitOffset, bitSize: bitSize)
    }
  }

  /// The members of a struct or union; `nil` for other types.
  private var fields: [Field]? {
    guard [BTF_KIND_STRUCT, BTF_KIND_UNION].contains(Int(btf_kind(type))) else { return nil }
    return (0..<UInt32(btf_vlen(type))).compactMap { index in
      // SAFETY: the members follow the type in memory, `btf_vlen` of them.
      let member = btf_members(type)[Int(index)]
      guard let type = BTFReader(btf, typeID: member.type) else { return nil }
      let bits = Int(btf_member_bitfield_size(self.type, index))
      return Field(
        name: Self.string(btf, member.name_off), type: type,
        bitOffset: Int(btf_member_bit_offset(self.type, index)), bitSize: bits == 0 ? nil : bits)
    }
  }

  /// The elements of an array of structs, unions or arrays; `nil` for other types: an array of scalars counts as one.
  private var compositeArray: (element: BTFReader, count: Int)? {
    guard Int(btf_kind(type)) == BTF_KIND_ARRAY else { return nil }
    let array = btf_array(type).pointee
    guard let element = BTFReader(btf, typeID: array.type) else { return nil }
    return element.fields == nil && element.compositeArray == nil ? nil : (element, Int(array.nelems))
  }

  private static func string(_ btf: OpaquePointer, _ offset: UInt32) -> String {
    // SAFETY: libbpf returns a string of the BTF object, or null for an offset outside of it.
    btf__name_by_offset(btf, offset).map { String(cString: $0) } ?? ""
  }
}
