/// An array in the kernel (`BPF_MAP_TYPE_ARRAY`), read and written by system calls.
///
/// ```swift
/// let settings = try ArrayMap<settings>(name: "settings", capacity: 1)
/// try settings.set(0, current)
/// ```
///
/// Every index from 0 to `capacity - 1` exists from the start and holds zeros; none can be inserted or removed, and an
/// update beyond the end is ``BPFError/Kind-swift.struct/full``. A store by system call is *not* atomic for programs
/// that read at that moment: they may see half of it.
///
/// For tables that are rewritten as a whole ``MappedArray`` stores without system calls.
///
/// **Cost**, as `MapCostTests` prints it: a single operation is a system call; in a batch an entry costs about a fifth of
/// one.
public struct ArrayMap<Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, KernelMapStorage {
  /// An index.
  public typealias Key = UInt32

  /// The map as bytes.
  public let raw: RawMap
  /// An array of this type.
  public static var shape: MapShape { .keyed(.array, UInt32.self, Value.self) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }
}
