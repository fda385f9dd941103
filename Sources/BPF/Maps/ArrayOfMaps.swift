/// An array of maps (`BPF_MAP_TYPE_ARRAY_OF_MAPS`). Linux 4.12.
///
/// ```swift
/// let template = try HashMap<ip_address, address_entry>(name: "shard", capacity: 1_024)
/// let shards = try ArrayOfMaps<HashMap<ip_address, address_entry>>(name: "shards", capacity: 16, template: template)
/// try shards.set(0, template)
/// ```
///
/// A whole table is exchanged in one step: fill a fresh inner map, then store it under the key. Programs that look the
/// key up see the old table or the new, never a mixture. A second look-up in the program is the price.
///
/// Indexes are empty to begin with and can be emptied again.
///
/// **Cost**: a store waits until no program uses the old map any more (a grace period, milliseconds), so exchange tables,
/// not entries.
public struct ArrayOfMaps<Inner: KernelMap & ~Copyable>: ~Copyable, DescriptorValuedMap {
  /// An index.
  public typealias Key = UInt32

  /// The map as bytes.
  public let raw: RawMap
  /// An array of descriptors.
  public static var shape: MapShape { .keyed(.arrayOfMaps, UInt32.self, UInt32.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }

  /// Creates an array for maps like `template`, which itself is not kept.
  ///
  /// The corresponding C function is `bpf_map_create`.
  public init(name: String, capacity: Int, template: borrowing Inner) throws(BPFError) {
    try self.init(.arrayOfMaps, name: name, capacity: capacity, template: template)
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
