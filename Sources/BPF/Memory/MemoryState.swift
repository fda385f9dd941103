/// A table, the faults that await it, and the translation of its error numbers. What the memory storages guard.
struct MemoryState<Key: BitwiseCopyable, Value> {
  let name: String
  var table: any MemoryTable<Key, Value>
  var faults = FaultScript()

  init(name: String, table: any MemoryTable<Key, Value>) {
    self.name = name
    self.table = table
  }

  mutating func get(_ key: Key) throws(BPFError) -> Value? {
    try run("look up", .get) { (table) throws(TableFailure) in try table.find(key) }
  }

  mutating func update(_ key: Key, _ value: Value, mode: UpdateMode) throws(BPFError) {
    try run("update", .update) { (table) throws(TableFailure) in
      try table.store(key, value, mode: mode)
    }
  }

  mutating func remove(_ key: Key) throws(BPFError) -> Bool {
    try run("remove", .remove) { (table) throws(TableFailure) in try table.remove(key) } != nil
  }

  mutating func take(_ key: Key) throws(BPFError) -> Value? {
    try run("take", .take) { (table) throws(TableFailure) in try table.remove(key) }
  }

  mutating func pairs() throws(BPFError) -> [(Key, Value)] {
    try run("iterate", .iterate) { (table) throws(TableFailure) in table.pairs }
  }

  private mutating func run<Result>(
    _ verb: String, _ operation: MemoryFault.Operation,
    _ body: (inout any MemoryTable<Key, Value>) throws(TableFailure) -> Result
  ) throws(BPFError) -> Result {
    do throws(TableFailure) {
      try faults.strike(operation)
      return try body(&table)
    } catch {
      throw BPFError(errno: error.errno, operation: verb, object: name)
    }
  }
}
