import BPF
import Glibc
import Testing

/// Failures to order, and values of several processors.
@Suite struct MemoryFaultTests {
  @Test func thirdUpdateFailsAndTheNextWorks() throws {
    let map = MemoryMap<UInt32, UInt32>(name: "table", capacity: 8)
    map.inject(MemoryFault(in: .update, at: 3, errno: ENOMEM))
    try map.set(1, 1)
    try map.set(2, 2)
    let error = #expect(throws: BPFError.self) { try map.set(3, 3) }
    #expect(error?.kind == .outOfMemory)
    #expect(error?.errno == ENOMEM)
    #expect(error?.object == "table")
    #expect(try map.get(3) == nil)
    try map.set(3, 3)
    #expect(try map.get(3) == 3)
  }

  @Test func faultStrikesInsideABatch() throws {
    let map = MemoryMap<UInt32, UInt32>(capacity: 8)
    map.inject(MemoryFault(in: .update, at: 3, errno: ENOMEM))
    let error = #expect(throws: BPFError.self) {
      try map.update(keys: [1, 2, 3, 4], values: [1, 2, 3, 4], mode: .set)
    }
    #expect(error?.hint?.contains("2 of 4") == true)
    #expect(try map.get(2) == 2)
    #expect(try map.get(3) == nil)
  }

  @Test func lastingFaultEndsOnlyWhenRemoved() throws {
    let map = MemoryMap<UInt32, UInt32>(capacity: 8)
    map.inject(MemoryFault(in: .get, at: 1, times: nil, errno: EPERM))
    for _ in 0..<3 { #expect(throws: BPFError.self) { try map.get(1) } }
    map.removeFaults()
    #expect(try map.get(1) == nil)
  }

  @Test func memoryLRUDropsTheOldestUpdate() throws {
    let map = MemoryMap<UInt32, UInt32>(.lruHash, capacity: 3)
    for key in UInt32(0)..<3 { try map.set(key, key) }
    try map.set(0, 9)
    try map.set(3, 3)
    #expect(try map.get(1) == nil)
    #expect(try map.get(0) == 9)
  }

  @Test func concurrentUpdatesAllArrive() async throws {
    let map = MemoryMap<UInt32, UInt32>(capacity: 8_000)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in UInt32(0)..<8 {
        group.addTask { for key in 0..<UInt32(1_000) { try map.insert(task * 1_000 + key, key) } }
      }
      try await group.waitForAll()
    }
    var count = 0
    try map.forEach { (_, _) throws(BPFError) in count += 1 }
    #expect(count == 8_000)
  }

  @Test func valuesOfAllProcessorsAreSummed() {
    var values = PerCPU<InlineArray<3, UInt32>>(repeating: [1, 2, 3], count: 4)
    values[2] = [10, 20, 30]
    #expect(values.count == 4)
    #expect(values.sum { $0[1] } == 26)
    #expect(values.reduce(0) { max($0, $1[2]) } == 30)
    #expect(PerCPU<UInt8>([200, 100]).sum == 44, "counters wrap around as the kernel's do")
  }

  @Test func valuesOfAnotherNumberOfProcessorsAreRefused() {
    let map = MemoryPerCPUMap<UInt32, UInt64>(capacity: 2)
    let values = PerCPU<UInt64>(repeating: 1, count: PerCPU<UInt64>.possibleCPUs + 1)
    let error = #expect(throws: BPFError.self) { try map.set(1, values) }
    #expect(error?.kind == .invalid)
  }
}
