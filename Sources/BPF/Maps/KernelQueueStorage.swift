import CBPF
import Glibc

/// A kernel map of values without keys: how ``QueueMap`` and ``StackMap`` do what ``QueueStorage`` asks for.
public protocol KernelQueueStorage: KernelMap, QueueStorage, ~Copyable {}

extension KernelQueueStorage where Self: ~Copyable {
  /// Adds `value`; see ``QueueStorage/push(_:evictingOldest:)``.
  ///
  /// The corresponding C function is `bpf_map_update_elem`, with `BPF_EXIST` to evict.
  @inlinable
  public borrowing func push(_ value: Value, evictingOldest: Bool) throws(BPFError) {
    let mode: UpdateMode = evictingOldest ? .replace : .set
    // SAFETY: the kernel reads as many bytes as the type has; the size was checked when the handle was made.
    let code = withUnsafePointer(to: value) {
      bpf_map_update_elem(raw.descriptor.rawValue, nil, $0, mode.rawValue)
    }
    if code != 0 { throw raw.failure(code, "push") }
  }

  /// Removes and returns the next value; `nil` if there is none.
  ///
  /// The corresponding C function is `bpf_map_lookup_and_delete_elem`.
  @inlinable
  public borrowing func pop() throws(BPFError) -> Value? {
    try raw.copyValue("pop", of: ()) { bpf_map_lookup_and_delete_elem($0, nil, $2) }
  }

  /// The value that ``pop()`` would return; `nil` if there is none.
  ///
  /// The corresponding C function is `bpf_map_lookup_elem`.
  @inlinable
  public borrowing func peek() throws(BPFError) -> Value? {
    try raw.copyValue("peek", of: ()) { bpf_map_lookup_elem($0, nil, $2) }
  }
}
