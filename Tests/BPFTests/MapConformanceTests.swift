import BPF
import BPFTesting
import CBPF
import Testing

private let key: @Sendable (Int) -> frontend_key = { number in
  var key = frontend_key()
  key.address.low = UInt64(number)
  key.port = UInt16(truncatingIfNeeded: number)
  return key
}

private let value: @Sendable (Int) -> UInt32 = { UInt32($0) + 1 }

private let prefix: @Sendable (Int) -> ip_prefix = { number in
  var prefix = ip_prefix()
  prefix.length = 128
  withUnsafeMutableBytes(of: &prefix.address) { $0.storeBytes(of: UInt32(number).bigEndian, as: UInt32.self) }
  return prefix
}

@Suite struct MemoryMapConformanceTests {
  @Test(arguments: MapRule.rules(for: .hash))
  func hash(rule: MapRule) throws {
    try MapConformance(.hash, make: { MemoryMap(.hash, capacity: $0) }, key: key, value: value).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .lruHash))
  func lruHash(rule: MapRule) throws {
    try MapConformance(.lruHash, make: { MemoryMap(.lruHash, capacity: $0) }, key: key, value: value).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .lpmTrie))
  func lpmTrie(rule: MapRule) throws {
    try MapConformance(.lpmTrie, make: { MemoryMap(.lpmTrie, capacity: $0) }, key: prefix, value: value).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .array))
  func array(rule: MapRule) throws {
    try MapConformance(.array, make: { MemoryMap(.array, capacity: $0) }, key: { UInt32($0) }, value: value)
      .verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .hash))
  func perCPUHash(rule: MapRule) throws {
    try MapConformance(
      .hash, make: { PerCPUColumns(MemoryPerCPUMap(.hash, capacity: $0)) }, key: { UInt32($0) },
      value: { UInt64($0) + 1 }
    ).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .array))
  func perCPUArray(rule: MapRule) throws {
    try MapConformance(
      .array, make: { PerCPUColumns(MemoryPerCPUMap(.array, capacity: $0)) }, key: { UInt32($0) },
      value: { UInt64($0) + 1 }
    ).verify(rule)
  }

  @Test(arguments: PrefixRule.allCases)
  func prefixes(rule: PrefixRule) throws {
    try rule.verify(MemoryMap(.lpmTrie, capacity: 8))
  }

  @Test(arguments: QueueRule.allCases, MemoryQueue<UInt32>.Order.allCases)
  func queue(rule: QueueRule, order: MemoryQueue<UInt32>.Order) throws {
    try rule.verify(MemoryQueue(order, capacity: 4), newestFirst: order == .lastInFirstOut)
  }

  @Test(arguments: ArrayRule.allCases)
  func directArray(rule: ArrayRule) throws {
    try rule.verify(MemoryArray<UInt32>(count: 100), value: value)
  }
}

@Suite(.requiresBPF) struct KernelMapConformanceTests {
  @Test(arguments: MapRule.rules(for: .hash), [MapOptions(), .allocatingOnDemand])
  func hash(rule: MapRule, options: MapOptions) throws {
    try MapConformance(
      .hash, make: { try HashMap(name: "conformance", capacity: $0, options: options) }, key: key, value: value
    ).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .lruHash))
  func lruHash(rule: MapRule) throws {
    try MapConformance(
      .lruHash, make: { try LRUHashMap(name: "conformance", capacity: $0) }, key: key, value: value
    ).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .lpmTrie))
  func lpmTrie(rule: MapRule) throws {
    try MapConformance(
      .lpmTrie, make: { try LPMTrieMap(name: "conformance", capacity: $0) }, key: prefix, value: value
    ).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .array))
  func array(rule: MapRule) throws {
    try MapConformance(
      .array, make: { try ArrayMap(name: "conformance", capacity: $0) }, key: { UInt32($0) }, value: value
    ).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .hash))
  func perCPUHash(rule: MapRule) throws {
    try MapConformance(
      .hash, make: { try PerCPUColumns(PerCPUHashMap(name: "conformance", capacity: $0)) }, key: { UInt32($0) },
      value: { UInt64($0) + 1 }
    ).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .lruHash))
  func lruPerCPUHash(rule: MapRule) throws {
    try MapConformance(
      .lruHash, make: { try PerCPUColumns(LRUPerCPUHashMap(name: "conformance", capacity: $0)) },
      key: { UInt32($0) }, value: { UInt64($0) + 1 }
    ).verify(rule)
  }

  @Test(arguments: MapRule.rules(for: .array))
  func perCPUArray(rule: MapRule) throws {
    try MapConformance(
      .array, make: { try PerCPUColumns(PerCPUArrayMap(name: "conformance", capacity: $0)) }, key: { UInt32($0) },
      value: { UInt64($0) + 1 }
    ).verify(rule)
  }

  @Test(arguments: PrefixRule.allCases)
  func prefixes(rule: PrefixRule) throws {
    try rule.verify(LPMTrieMap(name: "conformance", capacity: 8))
  }

  @Test(arguments: QueueRule.allCases)
  func queue(rule: QueueRule) throws {
    try rule.verify(QueueMap(name: "conformance", capacity: 4), newestFirst: false)
  }

  @Test(arguments: QueueRule.allCases)
  func stack(rule: QueueRule) throws {
    try rule.verify(StackMap(name: "conformance", capacity: 4), newestFirst: true)
  }

  // Entries of 4 bytes lie 8 apart in the kernel, those of 16 bytes lie as in Swift.
  @Test(arguments: ArrayRule.allCases)
  func mappedArray(rule: ArrayRule) throws {
    try rule.verify(MappedArray<UInt32>(name: "conformance", capacity: 100), value: value)
    try rule.verify(MappedArray<ip_address>(name: "conformance", capacity: 100)) {
      ip_address(high: UInt64($0) + 1, low: 2)
    }
  }
}
