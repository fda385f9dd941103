import BPF
import BPFTesting
import CBPF
import Testing

/// A hundred thousand random operations of each kind, each answered by the kernel and by the model.
@Suite(.requiresBPF) struct MapLockStepTests {
  @Test(arguments: [MapOptions(), .allocatingOnDemand])
  func hash(options: MapOptions) throws {
    let keys = (0..<48).map { ip_address(high: 1, low: UInt64($0)) }
    let values = (0..<1_000).map { UInt64($0) }
    // Two thirds of the keys fit.
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: keys.count, values: values.count, using: &$0)
    } simplify: {
      $0.simpler
    } compare: {
      try MapPair(
        MemoryMap(.hash, capacity: 32), HashMap(name: "subject", capacity: 32, options: options),
        keys: keys, values: values
      ).compare($0)
    }
    try steps.run(operations: 100_000)
  }

  // Where nothing has to be dropped the kernel's LRU is exact. A processor may keep up to half its share of free entries
  // for itself, so "nothing" needs keys well below the capacity.
  @Test func lruHashBelowCapacity() throws {
    let keys = (0..<64).map { UInt32($0) }
    let values = (0..<1_000).map { UInt64($0) }
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: keys.count, values: values.count, using: &$0)
    } simplify: {
      $0.simpler
    } compare: {
      try MapPair(
        MemoryMap(.lruHash, capacity: 1_024), LRUHashMap(name: "subject", capacity: 1_024),
        keys: keys, values: values
      ).compare($0)
    }
    try steps.run(operations: 100_000)
  }

  @Test func array() throws {
    let keys = (0..<20).map { UInt32($0) } + [.max]  // 16 to 19 lie beyond the end
    let values = (0..<1_000).map { ip_address(high: UInt64($0), low: 7) }
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: keys.count, values: values.count, using: &$0)
    } simplify: {
      $0.simpler
    } compare: {
      try MapPair(
        MemoryMap(.array, capacity: 16), ArrayMap(name: "subject", capacity: 16), keys: keys, values: values
      ).compare($0)
    }
    try steps.run(operations: 100_000)
  }

  @Test func lpmTrie() throws {
    // Few distinct bits, so that prefixes nest; some bits beyond the length, some lengths beyond the key.
    var generator = SplitMix64(seed: RandomSeed.current)
    let keys = (0..<96).map { _ in randomPrefix(using: &generator) }
    let values = (0..<1_000).map { UInt32($0) }
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: keys.count, values: values.count, using: &$0)
    } simplify: {
      $0.simpler
    } compare: {
      try MapPair(
        MemoryMap(.lpmTrie, capacity: 40), LPMTrieMap(name: "subject", capacity: 40), keys: keys, values: values
      ).compare($0)
    }
    try steps.run(operations: 100_000)
  }

  @Test func perCPUHash() throws {
    let keys = (0..<48).map { UInt32($0) }
    let values = (1..<1_000).map { UInt64($0) }
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: keys.count, values: values.count, using: &$0)
    } simplify: {
      $0.simpler
    } compare: {
      try MapPair(
        PerCPUColumns(MemoryPerCPUMap(.hash, capacity: 32)),
        PerCPUColumns(PerCPUHashMap(name: "subject", capacity: 32)), keys: keys, values: values
      ).compare($0)
    }
    try steps.run(operations: 100_000)
  }

  @Test func perCPUArray() throws {
    let keys = (0..<20).map { UInt32($0) }
    let values = (1..<1_000).map { UInt64($0) }
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: keys.count, values: values.count, using: &$0)
    } simplify: {
      $0.simpler
    } compare: {
      try MapPair(
        PerCPUColumns(MemoryPerCPUMap(.array, capacity: 16)),
        PerCPUColumns(PerCPUArrayMap(name: "subject", capacity: 16)), keys: keys, values: values
      ).compare($0)
    }
    try steps.run(operations: 100_000)
  }

  @Test func queue() throws {
    let steps = LockStep(seed: RandomSeed.current) {
      QueueAction.random(using: &$0)
    } compare: {
      QueueAction.compare($0, MemoryQueue(.firstInFirstOut, capacity: 7), try QueueMap(name: "subject", capacity: 7))
    }
    try steps.run(operations: 100_000)
  }

  @Test func stack() throws {
    let steps = LockStep(seed: RandomSeed.current) {
      QueueAction.random(using: &$0)
    } compare: {
      QueueAction.compare($0, MemoryQueue(.lastInFirstOut, capacity: 7), try StackMap(name: "subject", capacity: 7))
    }
    try steps.run(operations: 100_000)
  }

  // The kernel's LRU is approximate, so above the capacity model and kernel are held to the same contract, not to the
  // same answers.
  // With a list per processor, a test that stays on one processor has only that one's share of the entries.
  @Test(arguments: [(MapOptions(), 32), (.perCPULists, 32 / PerCPU<UInt64>.possibleCPUs)])
  func lruHashAboveCapacity(options: MapOptions, leastCount: Int) throws {
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: 400, values: 1_000, using: &$0)
    } compare: {
      var contract = try EvictionContract(
        LRUHashMap(name: "subject", capacity: 64, options: options), capacity: 64, leastCount: leastCount)
      return contract.firstBreach($0)
    }
    try steps.run(operations: 100_000)
  }

  private func randomPrefix(using generator: inout SplitMix64) -> ip_prefix {
    var prefix = ip_prefix()
    prefix.length = [0, 1, 2, 3, 7, 8, 9, 12, 16, 128, 129].randomElement(using: &generator) ?? 0
    withUnsafeMutableBytes(of: &prefix.address) {
      $0[0] = [0x00, 0x80, 0xc0, 0xff].randomElement(using: &generator) ?? 0
      $0[1] = [0x00, 0x10, 0xf0].randomElement(using: &generator) ?? 0
      $0[15] = UInt8.random(in: 0..<2, using: &generator)
    }
    return prefix
  }
}

@Suite struct EvictionContractTests {
  @Test func memoryMapKeepsIt() throws {
    let steps = LockStep(seed: RandomSeed.current) {
      MapAction.random(keys: 400, values: 1_000, using: &$0)
    } compare: {
      var contract = EvictionContract(MemoryMap(.lruHash, capacity: 64), capacity: 64, leastCount: 32)
      return contract.firstBreach($0)
    }
    try steps.run(operations: 100_000)
  }
}
