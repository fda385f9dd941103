import CBPF
import Glibc

/// A kernel map whose values are other kernel objects: user space stores descriptors and reads back numbers.
///
/// The map holds a reference to each object in it, so the descriptor may be closed once it is stored. Storing
/// replaces at once: a program sees the old object or the new.
public protocol DescriptorValuedMap<Key>: KernelMap, ~Copyable {
  /// What an entry is found by.
  associatedtype Key: BitwiseCopyable
}

extension DescriptorValuedMap where Self: ~Copyable {
  /// The kernel's number for the object under `key`, or `nil`.
  ///
  /// The corresponding C function is `bpf_map_lookup_elem`.
  @inlinable
  public borrowing func id(_ key: Key) throws(BPFError) -> UInt32? {
    try raw.copyValue("look up", of: key) { bpf_map_lookup_elem($0, $1, $2) }
  }

  /// Stores the object that `descriptor` refers to under `key`.
  ///
  /// The corresponding C function is `bpf_map_update_elem`.
  public borrowing func set(_ key: Key, _ descriptor: borrowing FileDescriptor) throws(BPFError) {
    var value = descriptor.rawValue
    // SAFETY: the kernel reads a key and four bytes; sizes were checked when the handle was made.
    let code = withUnsafePointer(to: key) {
      bpf_map_update_elem(raw.descriptor.rawValue, $0, &value, UpdateMode.set.rawValue)
    }
    guard code == 0 else { throw raw.failure(code, "update") }
  }

  /// Removes `key`; `false` if it was not there.
  ///
  /// The corresponding C function is `bpf_map_delete_elem`.
  @discardableResult
  public borrowing func remove(_ key: Key) throws(BPFError) -> Bool { try raw.removeKey(key) }

  /// Calls `body` for each key and the number of what it holds.
  public borrowing func forEach(_ body: (Key, UInt32) throws(BPFError) -> Void) throws(BPFError) {
    try raw.forEachBatch { (keys, values, count) throws(BPFError) in
      for index in 0..<count {
        // SAFETY: the batch holds `count` keys of this type and as many numbers of four bytes.
        let key = keys.loadUnaligned(fromByteOffset: index * MemoryLayout<Key>.stride, as: Key.self)
        try body(key, values.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
      }
    }
  }
}
