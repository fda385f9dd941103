/// An exact-match table in the kernel (`BPF_MAP_TYPE_HASH`).
///
/// ```swift
/// let frontends = try HashMap<frontend_key, frontend>(name: "frontends", capacity: 65_536)
/// try frontends.set(key, entry)
/// if let entry = try frontends.get(key) { … }
/// ```
///
/// Keys and values are C structs from a header that the BPF program includes as well. The kernel hashes a key's bytes,
/// so a struct with implicit padding must not be a key: two equal keys may differ there.
///
/// An update replaces the whole value at once: programs see the old value or the new, never a mixture. A full map
/// refuses new keys with ``BPFError/Kind-swift.struct/full`` and still replaces old ones.
///
/// By default all entries are allocated when the map is created: no update can run out of memory. With
/// ``MapOptions/allocatingOnDemand`` memory follows the number of entries.
///
/// **Cost**, as `MapCostTests` prints it: a single operation is a system call. In a batch an entry costs about a third of
/// one to store and a sixth to read; allocating on demand makes batched stores half as dear again. For indexes from 0 on
/// choose ``ArrayMap``; for what may be forgotten, ``LRUHashMap``.
public struct HashMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, DrainableMap {
  /// The map as bytes.
  public let raw: RawMap
  /// A hash of these types.
  public static var shape: MapShape { .keyed(.hash, Key.self, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
