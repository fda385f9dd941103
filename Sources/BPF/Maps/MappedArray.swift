import Glibc

/// A kernel array in this process's memory: reads and stores without system calls (`BPF_MAP_TYPE_ARRAY` with
/// `BPF_F_MMAPABLE`). Linux 5.5.
///
/// ```swift
/// let backends = try MappedArray<backend>(name: "backends", capacity: 1 << 20)
/// backends.write(slice, at: offset)    // nothing refers to these entries yet
/// try frontends.set(key, frontend)     // one update publishes them
/// ```
///
/// The memory is the kernel's own, shared with the programs. Stores are plain: a program may see half of one, so write
/// only what nothing refers to yet and publish it by an update of another map, whose system call orders it after the
/// stores.
///
/// Only one task may write an entry at a time; the type does not lock. Other processes that map the array see the same
/// memory.
///
/// **Cost**, as `MapCostTests` prints it: an entry takes well under a nanosecond in a run, thousands of times less than by
/// system call.
public struct MappedArray<Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, ArrayStorage {
  /// The map as bytes.
  public let raw: RawMap
  @usableFromInline let memory: ArrayMapping

  /// A mappable array of this type.
  public static var shape: MapShape { .keyed(.array, UInt32.self, Value.self) }
  /// Arrays can be mapped only if they were created for it.
  public static var requiredOptions: MapOptions { .mappable }

  /// Maps the array into memory. Throws `invalid` if it was not created with ``MapOptions/mappable``.
  ///
  /// The corresponding C function is `mmap`.
  public init(unchecked raw: consuming RawMap) throws(BPFError) {
    memory = try ArrayMapping(raw)
    self.raw = raw
  }

  /// The number of entries.
  public var count: Int { raw.capacity }

  /// The entry at `index`. Precondition: `index` is within `0..<count`.
  @inlinable
  public borrowing func read(_ index: Int) -> Value {
    precondition(index >= 0 && index < count, "index \(index) of \(count)")
    // SAFETY: the mapping has `count` strides and lives as long as `self`; any bytes are a valid `Value`.
    return memory.base.loadUnaligned(fromByteOffset: index * memory.stride, as: Value.self)
  }

  /// Stores `values` from `offset` on. Precondition: they fit.
  @inlinable
  public borrowing func write(_ values: [Value], at offset: Int) {
    precondition(offset >= 0 && values.count <= count - offset, "\(values.count) entries at \(offset) of \(count)")
    let (start, stride) = (memory.base + offset * memory.stride, memory.stride)
    // SAFETY: both sides have room for `values`, as was just checked, and do not overlap.
    values.withUnsafeBytes { source in
      guard let base = source.baseAddress, stride != MemoryLayout<Value>.stride else {
        return UnsafeMutableRawBufferPointer(start: start, count: source.count).copyMemory(from: source)
      }
      for index in values.indices {
        let value = base + index * MemoryLayout<Value>.stride
        (start + index * stride).copyMemory(from: value, byteCount: MemoryLayout<Value>.size)
      }
    }
  }
}

/// An array's memory in this process.
///
/// SAFETY: the pointer is to memory that is shared with the kernel anyway; what is safe to store at once, and by whom,
/// is the contract of ``MappedArray``. It is unmapped only when its one owner ends.
@usableFromInline
struct ArrayMapping: ~Copyable, @unchecked Sendable {
  @usableFromInline let base: UnsafeMutableRawPointer
  /// Bytes from one entry to the next: the kernel rounds up to eight.
  @usableFromInline let stride: Int
  private let length: Int

  init(_ map: borrowing RawMap) throws(BPFError) {
    stride = (map.valueSize + 7) & ~7
    length = stride * map.capacity
    let address = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, map.descriptor.rawValue, 0)
    guard let address, address != MAP_FAILED else {
      let code = errno
      let hint = code == EINVAL || code == 524 ? "it was created without BPF_F_MMAPABLE" : nil
      throw BPFError(errno: code, operation: "map into memory", object: map.name, hint: hint)
    }
    base = address
  }

  deinit { munmap(base, length) }
}
