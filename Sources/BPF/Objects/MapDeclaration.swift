import CBPF

/// How an open object declares a map, to be compared with one that exists.
struct MapDeclaration {
  private let type: MapType
  private let keySize: Int
  private let valueSize: Int
  private let maxEntries: Int
  private let flags: UInt32
  private let key: BTFLayout?
  private let value: BTFLayout?

  init(_ map: OpaquePointer, of object: OpaquePointer) {
    type = MapType(rawValue: bpf_map__type(map).rawValue)
    keySize = Int(bpf_map__key_size(map))
    valueSize = Int(bpf_map__value_size(map))
    maxEntries = Int(bpf_map__max_entries(map))
    flags = bpf_map__map_flags(map)
    let btf = bpf_object__btf(object)
    key = btf.flatMap { BTFLayout($0, typeID: bpf_map__btf_key_type_id(map)) }
    value = btf.flatMap { BTFLayout($0, typeID: bpf_map__btf_value_type_id(map)) }
  }

  /// Throws an error that names each difference between this declaration and the map behind `descriptor`.
  func check(_ descriptor: borrowing FileDescriptor, name: String) throws(BPFError) {
    let differences = try differences(from: descriptor)
    guard !differences.isEmpty else { return }
    throw BPFError(
      .layout, operation: "reuse", object: "map \(name)",
      hint: "the existing map differs from the declaration: \(differences.joined(separator: "; "))")
  }

  private func differences(from descriptor: borrowing FileDescriptor) throws(BPFError) -> [String] {
    let info = try MapInfo(of: descriptor)
    var found: [String] = []
    func compare<Field: Equatable>(_ what: String, _ declared: Field, _ existing: Field) {
      if declared != existing { found.append("\(what) is \(existing), not \(declared)") }
    }
    compare("type", type, info.type)
    compare("key size", keySize, info.keySize)
    compare("value size", valueSize, info.valueSize)
    if maxEntries != 0 { compare("capacity", maxEntries, info.maxEntries) }
    compare("flags", "0x\(String(flags, radix: 16))", "0x\(String(info.flags, radix: 16))")
    let existing = try BTFLayout.ofMap(descriptor)
    found += Self.differences("key", key, existing.key)
    found += Self.differences("value", value, existing.value)
    return found
  }

  private static func differences(_ what: String, _ declared: BTFLayout?, _ existing: BTFLayout?) -> [String] {
    guard let declared, let existing else { return [] }
    // A different size has been named already.
    return declared.differences(from: existing).filter { !$0.hasPrefix("size") }.map { "\(what) has \($0)" }
  }
}
