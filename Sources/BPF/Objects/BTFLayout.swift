import CBPF
import Glibc

/// The layout of a C type as its BTF tells: what a map's key or value looks like to the programs.
///
/// Two uses: to see whether a pinned map was made from the same declaration, and to see whether a key has padding. The
/// kernel hashes a key's padding together with its members, but neither compiler promises what is in it.
public struct BTFLayout: Sendable, Equatable {
  /// One member that is not itself a struct; members of nested structs appear with a path such as `source.port`.
  public struct Member: Sendable, Equatable {
    /// The name, or the path of names.
    public let name: String
    /// Bits from the start of the type.
    public let bitOffset: Int
    /// Bits that it takes.
    public let bitSize: Int
  }

  /// The name of the type; empty if it is anonymous.
  public let name: String
  /// Bytes.
  public let size: Int
  /// All members in order of declaration; one without a name if the type is a scalar.
  public let members: [Member]

  /// The bytes that belong to no member.
  public var holes: [Range<Int>] {
    var holes: [Range<Int>] = []
    var end = 0
    for member in members.sorted(by: { $0.bitOffset < $1.bitOffset }) {
      let start = member.bitOffset / 8
      if start > end { holes.append(end..<start) }
      end = max(end, (member.bitOffset + member.bitSize + 7) / 8)
    }
    if end < size { holes.append(end..<size) }
    return holes
  }

  /// What differs between this declaration and `other`, a phrase a difference; empty if they are the same.
  public func differences(from other: BTFLayout) -> [String] {
    var found: [String] = []
    if size != other.size { found.append("size is \(other.size), not \(size)") }
    for (own, theirs) in zip(members, other.members) where own != theirs {
      found.append("\(theirs.place) instead of \(own.place)")
    }
    found += members.dropFirst(other.members.count).map { "\($0.place) is missing" }
    found += other.members.dropFirst(members.count).map { "\($0.place) is extra" }
    return found
  }

  /// The layouts of a map's key and value; `nil` for each of which the kernel has no type.
  ///
  /// The corresponding libbpf function is `btf__load_from_kernel_by_id`.
  public static func ofMap(
    _ descriptor: borrowing FileDescriptor
  ) throws(BPFError) -> (key: BTFLayout?, value: BTFLayout?) {
    let info = try MapInfo(of: descriptor)
    guard info.btfID != 0 else { return (nil, nil) }
    guard let btf = btf__load_from_kernel_by_id(info.btfID) else {
      throw BPFError(errno: errno, operation: "read type information of", object: "map \(info.name)")
    }
    defer { btf__free(btf) }
    return (BTFLayout(btf, typeID: info.keyTypeID), BTFLayout(btf, typeID: info.valueTypeID))
  }

  /// Reads type `typeID` of `btf`; `nil` for type 0 (`void`) and for types without a size.
  init?(_ btf: OpaquePointer, typeID: UInt32) {
    guard typeID != 0, let reader = BTFReader(btf, typeID: typeID) else { return nil }
    name = reader.name
    size = reader.size
    members = reader.members(path: "", bitOffset: 0)
  }
}

extension BTFLayout.Member {
  /// `source.port at byte 4, 2 bytes`.
  fileprivate var place: String {
    let label = name.isEmpty ? "a value" : name
    guard bitOffset % 8 == 0, bitSize % 8 == 0 else { return "\(label) at bit \(bitOffset), \(bitSize) bits" }
    return "\(label) at byte \(bitOffset / 8), \(bitSize / 8) bytes"
  }
}
