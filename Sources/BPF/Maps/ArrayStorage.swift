/// A table of fixed length whose entries are written in place without system calls: ``MappedArray``, or ``MemoryArray``.
///
/// Stores are plain: a reader in the kernel may see half of one. So write entries that nothing refers to yet, and then
/// publish them by one update elsewhere.
public protocol ArrayStorage<Value>: ~Copyable {
  /// What an entry holds.
  associatedtype Value: BitwiseCopyable

  /// The number of entries.
  var count: Int { get }
  /// The entry at `index`. Precondition: `index` is within `0..<count`.
  borrowing func read(_ index: Int) -> Value
  /// Stores `values` from `offset` on. Precondition: they fit.
  borrowing func write(_ values: [Value], at offset: Int)
}
