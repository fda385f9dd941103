import CBPF
import Glibc

/// A kernel map of any type, as bytes: what the typed maps are made of, and what tools use for maps whose types they do
/// not know.
///
/// The value owns a descriptor and cannot be copied. The map lives until nothing refers to it any more: no descriptor,
/// no pin, no loaded program, no map of maps.
///
/// ```swift
/// let map = try RawMap(id: 42)
/// try map.forEach { key, value in print(key.count, value.count) } // RawSpan, RawSpan
/// ```
///
/// Prefer a typed map (``HashMap`` and its siblings) wherever the types are known: it checks sizes once and for all.
public struct RawMap: ~Copyable, Sendable {
  /// The descriptor, open for as long as this value lives.
  public let descriptor: FileDescriptor
  /// The name that errors give: what the map was called when it was created, opened, or taken from an object.
  public let name: String
  /// Its type.
  public let type: MapType
  /// Bytes of a key.
  public let keySize: Int
  /// Bytes of a value; on one processor, for per-CPU types.
  public let valueSize: Int
  /// The most entries it can hold.
  public let capacity: Int

  /// Takes over the descriptor of a map.
  ///
  /// - Parameter name: what errors are to call it; by default the kernel's name for it.
  public init(_ descriptor: consuming FileDescriptor, name: String? = nil) throws(BPFError) {
    let info = try MapInfo(of: descriptor)
    self.descriptor = descriptor
    self.name = name ?? (info.name.isEmpty ? "map \(info.id)" : info.name)
    type = info.type
    keySize = info.keySize
    valueSize = info.valueSize
    capacity = info.maxEntries
  }

  /// Creates a map.
  ///
  /// The corresponding C function is `bpf_map_create`.
  public init(creating definition: MapDefinition) throws(BPFError) {
    try self.init(definition.create(), name: definition.name)
  }

  /// Opens the map with this number. Needs `CAP_SYS_ADMIN`.
  ///
  /// The corresponding C function is `bpf_map_get_fd_by_id`.
  public init(id: UInt32) throws(BPFError) {
    let descriptor = bpf_map_get_fd_by_id(id)
    guard descriptor >= 0 else { throw BPFError(errno: descriptor, operation: "open", object: "map \(id)") }
    try self.init(FileDescriptor(owning: descriptor))
  }

  /// Opens the map that is pinned at `path`.
  ///
  /// The corresponding C function is `bpf_obj_get`.
  public init(pinned path: String) throws(BPFError) {
    try self.init(BPFFileSystem.open(path), name: path)
  }

  /// What the kernel tells about the map now.
  public borrowing func info() throws(BPFError) -> MapInfo { try MapInfo(of: descriptor) }

  /// A second handle to the same map.
  public borrowing func duplicate() throws(BPFError) -> RawMap {
    try RawMap(descriptor.duplicate(), name: name)
  }

  /// Gives the map a name in the BPF file system; it lives on there when this process
  /// ends, until ``BPFFileSystem/unpin(_:)``.
  ///
  /// The corresponding C function is `bpf_obj_pin`.
  public borrowing func pin(at path: String) throws(BPFError) {
    try BPFFileSystem.pin(descriptor, name, at: path)
  }

  /// Makes the map read-only for system calls, for ever; programs may still write. Linux 5.2.
  ///
  /// The corresponding C function is `bpf_map_freeze`.
  public borrowing func freeze() throws(BPFError) {
    let code = bpf_map_freeze(descriptor.rawValue)
    guard code == 0 else {
      let hint = code == -EBUSY ? "it is mapped into memory for writing: freeze it before it is mapped" : nil
      throw BPFError(errno: code, operation: "freeze", object: name, hint: hint)
    }
  }

  /// Bytes that user space copies for one value: all processors' values, for per-CPU types.
  public var copiedValueSize: Int {
    type.isPerCPU ? PerCPULayout.possibleCPUs * PerCPULayout.stride(valueSize: valueSize) : valueSize
  }

  /// Calls `body` with the bytes of each pair; see ``MapStorage/forEach(_:)``. For per-CPU types the value has the
  /// bytes of all possible processors, each processor's on a multiple of eight.
  public borrowing func forEach(_ body: (RawSpan, RawSpan) throws(BPFError) -> Void) throws(BPFError) {
    let (keySize, valueSize) = (keySize, copiedValueSize)
    try forEachBatch { (keys, values, count) throws(BPFError) in
      for index in 0..<count {
        // SAFETY: the batch's buffers hold `count` keys and values, and outlive this call.
        let key = UnsafeRawBufferPointer(start: keys + index * keySize, count: keySize)
        let value = UnsafeRawBufferPointer(start: values + index * valueSize, count: valueSize)
        try body(key.bytes, value.bytes)
      }
    }
  }

  /// The error of a call on this map.
  @usableFromInline
  borrowing func failure(_ code: Int32, _ operation: String) -> BPFError {
    BPFError(errno: code, operation: operation, object: name, hint: hint(errno: abs(code)))
  }

  /// What the map adds to the error number.
  private borrowing func hint(errno: Int32) -> String? {
    switch errno {
    case E2BIG where type == .array || type == .perCPUArray: "its last index is \(capacity - 1)"
    case EPERM where Capability.missing.isEmpty: "it is frozen, or was created for programs alone to write or read"
    default: nil
    }
  }
}
