/// An exact-match table of maps (`BPF_MAP_TYPE_HASH_OF_MAPS`). Linux 4.12.
///
/// ```swift
/// let template = try ArrayMap<backend>(name: "backends", capacity: 64)
/// let services = try HashOfMaps<UInt32, ArrayMap<backend>>(name: "services", capacity: 1_024, template: template)
/// ```
///
/// As ``ArrayOfMaps``, by key.
public struct HashOfMaps<Key: BitwiseCopyable, Inner: KernelMap & ~Copyable>: ~Copyable, DescriptorValuedMap {
  /// The map as bytes.
  public let raw: RawMap
  /// A hash of descriptors.
  public static var shape: MapShape { .keyed(.hashOfMaps, Key.self, UInt32.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }

  /// Creates a hash for maps like `template`, which itself is not kept.
  ///
  /// The corresponding C function is `bpf_map_create`.
  public init(name: String, capacity: Int, template: borrowing Inner) throws(BPFError) {
    try self.init(.hashOfMaps, name: name, capacity: capacity, template: template)
  }

  /// Stores `map` under `key`. Throws `invalid` if it is not like the template that this map was created with; a hash
  /// may have another capacity, an array only with ``MapOptions/resizableInnerMap``.
  ///
  /// The corresponding C function is `bpf_map_update_elem`.
  public borrowing func set(_ key: Key, _ map: borrowing Inner) throws(BPFError) { try store(key, map) }

  /// A handle to the map under `key`, or `nil`. Needs `CAP_SYS_ADMIN`.
  ///
  /// The corresponding C functions are `bpf_map_lookup_elem` and `bpf_map_get_fd_by_id`.
  public borrowing func get(_ key: Key) throws(BPFError) -> Inner? { try open(key) }
}
