/// An exact-match table with one value per processor under each key (`BPF_MAP_TYPE_PERCPU_HASH`).
///
/// ```swift
/// let counters = try PerCPUHashMap<rule_key, counter_value>(name: "rules", capacity: 4_096)
/// let packets = try counters.get(rule)?.sum { $0.packets } ?? 0
/// ```
///
/// For what every packet writes: a program touches only its own processor's value, so it needs no atomics and moves no
/// cache line. User space reads and writes all values at once; a read is a snapshot per processor, not over all of
/// them. Storing from user space overwrites what programs count at that moment.
///
/// Memory is `capacity` times the number of *possible* processors. Where a few keys are known beforehand
/// ``PerCPUArrayMap`` needs no hash.
///
/// **Cost**, as `MapCostTests` prints it: with two processors an operation takes at most about twice as long as a
/// ``HashMap``'s, an allocation included; it grows with the number of possible processors. Batches save a third.
public struct PerCPUHashMap<Key: BitwiseCopyable, Value: BitwiseCopyable>:
  ~Copyable, PlainKernelMap, KernelPerCPUMapStorage
{
  /// The map as bytes.
  public let raw: RawMap
  /// A per-CPU hash of these types.
  public static var shape: MapShape { .keyed(.perCPUHash, Key.self, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
