/// A bounded last-in-first-out stack (`BPF_MAP_TYPE_STACK`). Linux 4.20.
///
/// ```swift
/// let slots = try StackMap<UInt32>(name: "free_slots", capacity: 1_024)
/// ```
///
/// As ``QueueMap``, but hands out what was pushed last: of free slots the one still warm in the cache. A push that
/// evicts drops the value at the bottom.
///
/// **Cost**: each operation is a system call; there are no batches.
public struct StackMap<Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, KernelQueueStorage {
  /// The map as bytes.
  public let raw: RawMap
  /// A stack of this type.
  public static var shape: MapShape { .unkeyed(.stack, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
