/// An array with one value per processor at each index (`BPF_MAP_TYPE_PERCPU_ARRAY`).
///
/// ```swift
/// let counters = try PerCPUArrayMap<counter_value>(name: "counters", capacity: Int(COUNTER_COUNT.rawValue))
/// ```
///
/// The cheapest counters there are: for a program an index and its processor's offset, no hash, no atomics. Every index
/// exists from the start and holds zeros. See ``PerCPUHashMap`` for what a read means.
///
/// **Cost**, as `MapCostTests` prints it: as ``PerCPUHashMap`` by system call; the gain is the programs'.
public struct PerCPUArrayMap<Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, KernelPerCPUMapStorage {
  /// An index.
  public typealias Key = UInt32

  /// The map as bytes.
  public let raw: RawMap
  /// A per-CPU array of this type.
  public static var shape: MapShape { .keyed(.perCPUArray, UInt32.self, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
