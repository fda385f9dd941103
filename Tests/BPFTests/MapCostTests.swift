import BPF
import BPFTesting
import CBPF
import Testing

/// Prints what operations cost, for the figures in the maps' documentation:
/// `swift test -c release -Xswiftc -enable-testing --filter MapCost`.
@Suite(.requiresBPF, .serialized) struct MapCostTests {
  private static let count = 20_000

  // The best of a few rounds, in nanoseconds an entry: noise only ever adds.
  private func cost(_ what: String, _ body: () throws -> Void) rethrows -> Double {
    var best = Duration.seconds(1_000)
    for _ in 0..<5 { best = min(best, try ContinuousClock().measure(body)) }
    let nanoseconds = Double(best.components.attoseconds) / 1e9 / Double(Self.count)
    print("cost of \(what): \((nanoseconds * 10).rounded() / 10) ns")
    return nanoseconds
  }

  private func measure<Storage: MapStorage<UInt32, UInt64> & ~Copyable>(
    _ what: String, _ map: borrowing Storage
  ) throws -> (single: Double, batch: Double) {
    let keys = (0..<UInt32(Self.count)).map { $0 }
    let values = keys.map { UInt64($0) }
    let single = try cost("\(what) set") { for key in keys { try map.set(key, 1) } }
    let batch = try cost("\(what) batch set") { try map.update(keys: keys, values: values, mode: .set) }
    _ = try cost("\(what) get") { for key in keys { _ = try map.get(key) } }
    _ = try cost("\(what) forEach") { try map.forEach { (_, _) throws(BPFError) in } }
    return (single, batch)
  }

  @Test func batchesAreCheaperThanSingleCalls() throws {
    let hash = try measure("hash", HashMap(name: "cost", capacity: Self.count))
    _ = try measure(
      "hash on demand", HashMap(name: "cost", capacity: Self.count, options: .allocatingOnDemand))
    _ = try measure("LRU hash", LRUHashMap(name: "cost", capacity: 2 * Self.count))
    _ = try measure("array", ArrayMap(name: "cost", capacity: Self.count))
    _ = try measure("per-CPU hash", PerCPUColumns(PerCPUHashMap(name: "cost", capacity: Self.count)))
    _ = try measure("per-CPU array", PerCPUColumns(PerCPUArrayMap(name: "cost", capacity: Self.count)))
    _ = try measure("memory hash", MemoryMap(.hash, capacity: Self.count))
    #expect(hash.batch < hash.single)
  }

  @Test func tries() throws {
    let map = try LPMTrieMap<ip_prefix, UInt32>(name: "cost", capacity: Self.count)
    let keys = (0..<Self.count).map { number in
      var prefix = ip_prefix()
      prefix.length = 128
      withUnsafeMutableBytes(of: &prefix.address) { $0.storeBytes(of: UInt64(number).bigEndian, as: UInt64.self) }
      return prefix
    }
    _ = try cost("trie set") { for key in keys { try map.set(key, 1) } }
    _ = try cost("trie get") { for key in keys { _ = try map.get(key) } }
    _ = try cost("trie forEach") { try map.forEach { (_, _) throws(BPFError) in } }
  }

  @Test func arraysInMemory() throws {
    let mapped = try MappedArray<UInt64>(name: "cost", capacity: Self.count)
    let values = [UInt64](repeating: 3, count: Self.count)
    let write = cost("mapped array write") { mapped.write(values, at: 0) }
    let array = try ArrayMap<UInt64>(name: "cost", capacity: Self.count)
    let call = try cost("array set") { for index in 0..<UInt32(Self.count) { try array.set(index, 3) } }
    #expect(write * 10 < call, "plain stores must be far cheaper than system calls")
  }

  @Test func queues() throws {
    let queue = try QueueMap<UInt32>(name: "cost", capacity: Self.count)
    _ = try cost("queue push and pop") {
      for value in 0..<UInt32(Self.count) { try queue.push(value) }
      while try queue.pop() != nil {}
    }
  }
}
