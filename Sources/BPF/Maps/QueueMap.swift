/// A bounded first-in-first-out queue (`BPF_MAP_TYPE_QUEUE`). Linux 4.20.
///
/// ```swift
/// let ports = try QueueMap<UInt16>(name: "free_ports", capacity: 32_768)
/// try ports.push(40_000)
/// ```
///
/// Programs and user space push and pop alike; one lock serialises them. For handing out free resources. For events from
/// the kernel a ring buffer (``RingBufferMap``) wakes its reader; a queue has to be asked.
///
/// **Cost**: each operation is a system call; there are no batches.
public struct QueueMap<Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, KernelQueueStorage {
  /// The map as bytes.
  public let raw: RawMap
  /// A queue of this type.
  public static var shape: MapShape { .unkeyed(.queue, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
