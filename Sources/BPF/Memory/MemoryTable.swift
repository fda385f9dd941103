import Glibc

/// The rules of one kind of map over plain memory. Answers with error numbers, as the kernel does; ``MemoryMap`` and
/// ``MemoryPerCPUMap`` turn them into errors the same way as the kernel maps do.
protocol MemoryTable<Key, Value> {
  associatedtype Key: BitwiseCopyable
  associatedtype Value

  mutating func find(_ key: Key) throws(TableFailure) -> Value?
  mutating func store(_ key: Key, _ value: Value, mode: UpdateMode) throws(TableFailure)
  /// Removes `key` and returns what it held.
  mutating func remove(_ key: Key) throws(TableFailure) -> Value?
  var pairs: [(Key, Value)] { get }
}

/// The error number that the kernel would return.
struct TableFailure: Error, Equatable {
  var errno: Int32

  static let exists = TableFailure(errno: EEXIST)
  static let missing = TableFailure(errno: ENOENT)
  static let invalid = TableFailure(errno: EINVAL)
  static let tooBig = TableFailure(errno: E2BIG)
  static let noSpace = TableFailure(errno: ENOSPC)
}

extension UpdateMode {
  /// Refuses the update if the mode does not allow it. The kernel looks at this before it looks for room.
  func check(present: Bool) throws(TableFailure) {
    switch self {
    case .set: return
    case .insert: if present { throw .exists }
    case .replace: if !present { throw .missing }
    }
  }
}

/// A key as the kernel sees it: its bytes, padding included.
struct KeyBytes<Key: BitwiseCopyable>: Hashable {
  var key: Key

  init(_ key: Key) { self.key = key }

  static func == (left: KeyBytes, right: KeyBytes) -> Bool {
    withUnsafeBytes(of: left.key) { left in
      withUnsafeBytes(of: right.key) { right in left.elementsEqual(right) }
    }
  }

  func hash(into hasher: inout Hasher) {
    withUnsafeBytes(of: key) { hasher.combine(bytes: $0) }
  }
}
