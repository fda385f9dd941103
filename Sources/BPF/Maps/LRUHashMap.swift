/// An exact-match table that makes room by itself (`BPF_MAP_TYPE_LRU_HASH`).
///
/// ```swift
/// let affinity = try LRUHashMap<affinity_key, affinity>(name: "affinity", capacity: 65_536)
/// ```
///
/// No update is refused for lack of room: an entry that has not been used of late is dropped. *Which* one is only
/// approximately the oldest, and it can happen before the map is full, since each processor keeps some free entries for
/// itself (up to 128, and no more than half its share of the capacity since Linux 6.16). Look-ups by programs keep an entry
/// young; look-ups by system call do not. An update takes a free entry before it looks at the key, so that even one
/// that replaces, or is refused by its mode, may drop another entry.
///
/// So use it for what can be found again, such as affinity and caches, never for what must stay: a flood of new keys
/// pushes out the old ones. ``HashMap`` refuses instead.
///
/// **Cost**, as `MapCostTests` prints it: single operations as ``HashMap``; batched stores take about half as much again,
/// since each moves an entry between lists.
public struct LRUHashMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, DrainableMap {
  /// The map as bytes.
  public let raw: RawMap
  /// A hash of these types.
  public static var shape: MapShape { .keyed(.lruHash, Key.self, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
