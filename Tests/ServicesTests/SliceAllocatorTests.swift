import TableSupport
import TableTesting
import Testing

@Suite struct SliceAllocatorTests {
  @Test func `Runs that are handed out do not overlap, and one is found whenever there is one`() throws {
    for seed in 1...5 {
      var generator = SeededGenerator(seed: seed)
      var allocator = SliceAllocator(capacity: 500)
      var isUsed = [Bool](repeating: false, count: 500)
      var runs: [Range<Int>] = []
      for _ in 0..<1000 {
        if generator.oneIn(2), let run = runs.randomElement(using: &generator) {
          runs.removeAll { $0 == run }
          for index in run { isUsed[index] = false }
          allocator.free(offset: run.lowerBound, count: run.count)
        }
        let count = Int.random(in: 1...(generator.oneIn(10) ? 120 : 12), using: &generator)
        let offset = allocator.allocate(count)
        #expect((offset != nil) == (longestFreeRun(isUsed) >= count), "seed \(seed)")
        if let offset {
          let run = offset..<(offset + count)
          try #require(run.upperBound <= 500 && !isUsed[run].contains(true), "seed \(seed)")
          for index in run { isUsed[index] = true }
          runs.append(run)
        }
        try #require(allocator.freeCount == isUsed.count { !$0 })
      }
    }
  }

  @Test func `Once everything is given back one run spans the array`() {
    var allocator = SliceAllocator(capacity: 1000)
    let offsets = (1...40).compactMap { count in allocator.allocate(count).map { ($0, count) } }
    #expect(offsets.count == 40)
    for (offset, count) in offsets.shuffled() { allocator.free(offset: offset, count: count) }
    #expect(allocator.allocate(1000) == 0)
  }

  @Test func `Runs in use at the start are left alone and can be given back`() {
    var allocator = SliceAllocator(capacity: 100, used: [0..<10, 40..<50, 99..<100])
    #expect(allocator.freeCount == 79)
    #expect(allocator.allocate(50) == nil)
    #expect(allocator.allocate(49) == 50)
    #expect(allocator.allocate(30) == 10)
    allocator.free(offset: 40, count: 10)
    #expect(allocator.allocate(10) == 40)
    #expect(allocator.allocate(1) == nil)
  }

  @Test(arguments: [0, 1, 15, 16, 17, 1 << 20])
  func `A capacity of any size can be used to the last entry`(capacity: Int) {
    var allocator = SliceAllocator(capacity: capacity)
    #expect(allocator.allocate(capacity + 1) == nil)
    if capacity > 0 { #expect(allocator.allocate(capacity) == 0) }
    #expect(allocator.allocate(1) == nil)
  }

  /// Services of 1 to 100 endpoints that come, go and change, with four fifths of the entries in use.
  @Test func `Churn does not eat up the array`() {
    var generator = SeededGenerator(seed: 1)
    let capacity = 65_536
    var allocator = SliceAllocator(capacity: capacity)
    var runs: [(offset: Int, count: Int)] = []
    for _ in 0..<100_000 {
      if capacity - allocator.freeCount > capacity * 4 / 5 {
        let run = runs.remove(at: Int.random(in: runs.indices, using: &generator))
        allocator.free(offset: run.offset, count: run.count)
      }
      let count = Int.random(in: 1...100, using: &generator)
      guard let offset = allocator.allocate(count) else {
        Issue.record("no room for \(count) with \(allocator.freeCount) free")
        return
      }
      runs.append((offset, count))
    }
  }

  private func longestFreeRun(_ isUsed: [Bool]) -> Int {
    isUsed.split(separator: true).map(\.count).max() ?? 0
  }
}
