/// A ``PerCPUHashMap`` that makes room by itself (`BPF_MAP_TYPE_LRU_PERCPU_HASH`).
///
/// ```swift
/// let talkers = try LRUPerCPUHashMap<ip_address, counter_value>(name: "talkers", capacity: 16_384)
/// ```
///
/// Which entry is dropped, and when, is as approximate as for ``LRUHashMap``. For counters that may be lost, such as
/// the busiest clients; never for what is billed.
public struct LRUPerCPUHashMap<Key: BitwiseCopyable, Value: BitwiseCopyable>:
  ~Copyable, PlainKernelMap, KernelPerCPUMapStorage
{
  /// The map as bytes.
  public let raw: RawMap
  /// A per-CPU LRU hash of these types.
  public static var shape: MapShape { .keyed(.lruPerCPUHash, Key.self, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
