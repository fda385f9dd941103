import CBPF

/// What the kernel says of a map (`struct bpf_map_info`).
public struct MapInfo: Sendable, Equatable {
  /// The number by which ``LoadedObjects`` finds it.
  public let id: UInt32
  /// The name, which the kernel cuts to 15 characters.
  public let name: String
  /// What kind of map it is.
  public let type: MapType
  /// Bytes of a key; 0 where the type has none.
  public let keySize: Int
  /// Bytes of a value, of one processor where the type is per CPU; 0 where the type has none.
  public let valueSize: Int
  /// The most entries it takes; for ring buffers, bytes.
  public let maxEntries: Int
  /// `BPF_F_…` flags given at creation.
  public let flags: UInt32
  /// The id of its type information; 0 if it has none.
  public let btfID: UInt32
  /// The type of its keys in that, 0 if unknown.
  let keyTypeID: UInt32
  /// The type of its values in that, 0 if unknown.
  let valueTypeID: UInt32

  /// Asks the kernel about the map behind `descriptor`.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_GET_INFO_BY_FD`.
  public init(of descriptor: borrowing FileDescriptor) throws(BPFError) {
    var info = bpf_map_info()
    try readObjectInfo(of: descriptor, into: &info, kind: .map)
    id = info.id
    name = text(info.name)
    type = MapType(rawValue: info.type)
    keySize = Int(info.key_size)
    valueSize = Int(info.value_size)
    maxEntries = Int(info.max_entries)
    flags = info.map_flags
    btfID = info.btf_id
    keyTypeID = info.btf_key_type_id
    valueTypeID = info.btf_value_type_id
  }
}
