import CBPF

/// A global variable of an open object, as its BTF tells.
struct GlobalVariable {
  let name: String
  /// The ELF section that it lies in: `.rodata` for constants.
  let section: String
  /// Bytes from the start of the section.
  let offset: Int
  let size: Int

  /// The variables of the sections that libbpf makes maps of.
  static func all(in object: OpaquePointer) -> [GlobalVariable] {
    guard let btf = bpf_object__btf(object) else { return [] }
    return (1..<btf__type_cnt(btf)).flatMap { id -> [GlobalVariable] in
      guard let type = btf__type_by_id(btf, id), Int(btf_kind(type)) == BTF_KIND_DATASEC else { return [] }
      let section = string(btf, type.pointee.name_off)
      guard [".rodata", ".data", ".bss"].contains(where: section.hasPrefix) else { return [] }
      return (0..<Int(btf_vlen(type))).compactMap { index in
        // SAFETY: the entries follow the type in memory, `btf_vlen` of them.
        let entry = btf_var_secinfos(type)[index]
        guard let variable = btf__type_by_id(btf, entry.type) else { return nil }
        return GlobalVariable(
          name: string(btf, variable.pointee.name_off), section: section, offset: Int(entry.offset),
          size: Int(entry.size))
      }
    }
  }

  /// Where its initial value lies in the memory of `object`, which must not be loaded yet.
  func memory(in object: OpaquePointer) -> UnsafeMutableRawPointer? {
    guard let map = bpf_object__find_map_by_name(object, section) else { return nil }
    var bytes = 0
    guard let start = bpf_map__initial_value(map, &bytes), offset + size <= bytes else { return nil }
    // SAFETY: libbpf's copy of the section is `bytes` long and writable: its skeletons write to it as well.
    return UnsafeMutableRawPointer(mutating: start).advanced(by: offset)
  }

  private static func string(_ btf: OpaquePointer, _ offset: UInt32) -> String {
    // SAFETY: libbpf returns a string of the BTF object, or null for an offset outside of it.
    btf__name_by_offset(btf, offset).map { String(cString: $0) } ?? ""
  }
}
