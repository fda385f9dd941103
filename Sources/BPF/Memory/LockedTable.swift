import Synchronization

/// A table behind one lock, with the faults that await it: what ``MemoryMap`` and ``MemoryPerCPUMap`` are made of.
///
/// Translates the table's error numbers as the kernel maps do theirs.
final class LockedTable<Key: BitwiseCopyable & Sendable, Value: Sendable>: Sendable {
  private struct State {
    var table: any MemoryTable<Key, Value>
    var faults = FaultScript()
  }

  let name: String
  private let state: Mutex<State>

  init(name: String, table: sending any MemoryTable<Key, Value>) {
    self.name = name
    state = Mutex(State(table: table))
  }

  func inject(_ fault: MemoryFault) { state.withLock { $0.faults.add(fault) } }

  func removeFaults() { state.withLock { $0.faults.removeAll() } }

  func get(_ key: Key) throws(BPFError) -> Value? {
    try run("look up", .get) { (table) throws(TableFailure) in try table.find(key) }
  }

  func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    try run("update", .update) { (table) throws(TableFailure) in try table.store(key, value, mode: mode) }
  }

  func remove(_ key: Key) throws(BPFError) -> Bool {
    try run("remove", .remove) { (table) throws(TableFailure) in try table.remove(key) } != nil
  }

  func take(_ key: Key) throws(BPFError) -> Value? {
    try run("take", .take) { (table) throws(TableFailure) in try table.remove(key) }
  }

  /// Stores many pairs under one lock; stops at the first that fails.
  func update(keys: [Key], values: [Value], mode: UpdateMode) throws(BPFError) {
    precondition(keys.count == values.count, "\(keys.count) keys and \(values.count) values")
    try batch("update", .update, count: keys.count) { (table, index) throws(TableFailure) in
      try table.store(keys[index], values[index], mode: mode)
    }
  }

  /// Removes many keys under one lock; returns how many of them were there.
  func remove(keys: [Key]) throws(BPFError) -> Int {
    var removed = 0
    try batch("remove", .remove, count: keys.count) { (table, index) throws(TableFailure) in
      if try table.remove(keys[index]) != nil { removed += 1 }
    }
    return removed
  }

  /// Calls `body`, without the lock, for each pair of a copy of the table.
  func forEach(_ body: (Key, Value) throws(BPFError) -> Void) throws(BPFError) {
    let pairs = try run("iterate", .iterate) { (table) throws(TableFailure) in table.pairs }
    for (key, value) in pairs { try body(key, value) }
  }

  private func run<Result: Sendable>(
    _ verb: String, _ operation: MemoryFault.Operation,
    _ body: (inout any MemoryTable<Key, Value>) throws(TableFailure) -> Result
  ) throws(BPFError) -> Result {
    do throws(TableFailure) {
      return try state.withLock { (state) throws(TableFailure) in
        try state.faults.strike(operation)
        return try body(&state.table)
      }
    } catch {
      throw BPFError(errno: error.errno, operation: verb, object: name)
    }
  }

  private func batch(
    _ verb: String, _ operation: MemoryFault.Operation, count: Int,
    _ body: (inout any MemoryTable<Key, Value>, Int) throws(TableFailure) -> Void
  ) throws(BPFError) {
    var done = 0
    do throws(TableFailure) {
      try state.withLock { (state) throws(TableFailure) in
        while done < count {
          try state.faults.strike(operation)
          try body(&state.table, done)
          done += 1
        }
      }
    } catch {
      throw BPFError(errno: error.errno, operation: verb, object: name).inBatch(done: done, of: count)
    }
  }
}
