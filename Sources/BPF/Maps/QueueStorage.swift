/// A bounded line of values without keys: ``QueueMap`` (first in, first out), ``StackMap`` (last in, first out), or
/// ``MemoryQueue``, which is either.
public protocol QueueStorage<Value>: ~Copyable {
  /// What an element holds.
  associatedtype Value: BitwiseCopyable

  /// Adds `value`. When there is no room: drops the oldest value if `evictingOldest`, else throws
  /// ``BPFError/Kind-swift.struct/full``.
  borrowing func push(_ value: Value, evictingOldest: Bool) throws(BPFError)
  /// Removes and returns the next value; `nil` if there is none.
  borrowing func pop() throws(BPFError) -> Value?
  /// The value that ``pop()`` would return; `nil` if there is none.
  borrowing func peek() throws(BPFError) -> Value?
}

extension QueueStorage where Self: ~Copyable {
  /// Adds `value`; throws ``BPFError/Kind-swift.struct/full`` when there is no room.
  @inlinable
  public borrowing func push(_ value: Value) throws(BPFError) { try push(value, evictingOldest: false) }
}
