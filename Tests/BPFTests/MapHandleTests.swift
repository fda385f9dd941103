import BPFTesting
import CBPF
import Glibc
import Testing

@testable import BPF

private struct Padded: BitwiseCopyable {
  var long: UInt64 = 0
  var short: UInt8 = 0
}

/// How handles are made, and what they say when that is not possible.
@Suite(.requiresBPF) struct MapHandleTests {
  @Test func pinnedMapIsOpenedWithItsContents() throws {
    let bpffs = try TemporaryBPFFilesystem()
    let path = bpffs.path + "/table"
    do {
      let map = try HashMap<UInt32, UInt64>(name: "table", capacity: 8)
      try map.set(1, 11)
      try map.pin(at: path)
    }
    let reopened = try HashMap<UInt32, UInt64>(pinned: path, capacity: 8, options: [])
    #expect(try reopened.get(1) == 11)
    try BPFFileSystem.unpin(path)
    #expect(throws: BPFError.self) { _ = try HashMap<UInt32, UInt64>(pinned: path) }
    #expect(try reopened.get(1) == 11, "an unpinned map lives on while it is open")
  }

  @Test func pinnedMapOfAnotherLayoutIsRefusedFieldByField() throws {
    let bpffs = try TemporaryBPFFilesystem()
    let path = bpffs.path + "/table"
    let map = try LRUHashMap<UInt64, UInt32>(name: "table", capacity: 8)
    try map.pin(at: path)
    let error = #expect(throws: BPFError.self) {
      _ = try HashMap<UInt32, UInt64>(pinned: path, capacity: 16, options: .allocatingOnDemand)
    }
    #expect(error?.kind == .layout)
    for difference in [
      "type is lru_hash, not hash", "key size is 8, not 4", "value size is 4, not 8", "capacity is 8, not 16",
      "options is none, not BPF_F_NO_PREALLOC",
    ] {
      #expect(error?.hint?.contains(difference) == true, "\(error?.hint ?? "")")
    }
  }

  @Test func mapIsFoundByNumber() throws {
    let map = try ArrayMap<UInt32>(name: "by_number", capacity: 3)
    try map.set(2, 7)
    let info = try map.info()
    let found = try ArrayMap<UInt32>(id: info.id)
    #expect(found.name == "by_number")
    #expect(found.capacity == 3)
    #expect(try found.get(2) == 7)
  }

  @Test(arguments: [
    ("a-b", 1, "letters, digits"), ("sixteen_letters_", 1, "16 bytes"), ("zero", 0, "capacity is 0"),
    ("negative", -1, "capacity is -1"),
  ])
  func impossibleDefinitionIsRefusedWithTheReason(name: String, capacity: Int, reason: String) {
    let error = #expect(throws: BPFError.self) { _ = try HashMap<UInt32, UInt32>(name: name, capacity: capacity) }
    #expect(error?.kind == .invalid)
    #expect(error?.object == name)
    #expect(error?.hint?.contains(reason) == true, "\(error?.hint ?? "")")
  }

  @Test func ringBufferTakesPowersOfTwoPages() throws {
    let ring = try RingBufferMap(name: "ring", size: 8_192)
    #expect(try ring.info().maxEntries == 8_192)
    let error = #expect(throws: BPFError.self) { _ = try RingBufferMap(name: "ring", size: 10_000) }
    #expect(error?.hint?.contains("power of two") == true)
  }

  @Test func swiftStructWithPaddingAtItsEndIsRefused() {
    let error = #expect(throws: BPFError.self) { _ = try HashMap<Padded, UInt32>(name: "padded", capacity: 1) }
    #expect(error?.kind == .layout)
    #expect(error?.hint?.contains("9 bytes but takes 16") == true)
  }

  @Test func onlyMappableArraysAreMapped() throws {
    let array = try ArrayMap<UInt32>(name: "plain", capacity: 4)
    let error = #expect(throws: BPFError.self) { _ = try MappedArray<UInt32>(array.raw.duplicate()) }
    #expect(error?.hint?.contains("BPF_F_MMAPABLE") == true)
  }

  @Test func mappedStoresAreSeenBySystemCalls() throws {
    let mapped = try MappedArray<UInt32>(name: "mapped", capacity: 1_000)
    mapped.write([5, 6], at: 998)
    let array = try ArrayMap<UInt32>(mapped.raw.duplicate())
    #expect(try array.get(999) == 6)
    try array.set(0, 3)
    #expect(mapped.read(0) == 3)
  }

  @Test func frozenMapRefusesUpdates() throws {
    let map = try HashMap<UInt32, UInt32>(name: "frozen", capacity: 4)
    try map.set(1, 1)
    try map.freeze()
    let error = #expect(throws: BPFError.self) { try map.set(1, 2) }
    #expect(error?.kind == .permission)
    #expect(try map.get(1) == 1)
  }

  @Test func drainEmptiesAndHandsOverEverything() throws {
    let map = try HashMap<UInt32, UInt32>(name: "drained", capacity: 9_000)
    try map.update(keys: Array(0..<9_000), values: Array(0..<9_000), mode: .set)
    var keys: Set<UInt32> = []
    try map.drain { (key, _) throws(BPFError) in keys.insert(key) }
    #expect(keys.count == 9_000)
    #expect(try map.get(5) == nil)
  }

  @Test func innerMapsAreExchanged() throws {
    let template = try HashMap<UInt32, UInt32>(name: "inner", capacity: 4)
    let outer = try ArrayOfMaps<HashMap<UInt32, UInt32>>(name: "outer", capacity: 2, template: template)
    #expect(try outer.id(0) == nil)
    let fresh = try HashMap<UInt32, UInt32>(name: "fresh", capacity: 4)
    try fresh.set(1, 2)
    try outer.set(0, fresh)
    #expect(try outer.id(0) == fresh.info().id)
    let inside = try outer.get(0)
    #expect(try inside?.get(1) == 2)
    #expect(try outer.remove(0))
    #expect(try outer.id(0) == nil)
  }

  @Test func innerMapUnlikeTheTemplateIsRefused() throws {
    let template = try ArrayMap<UInt32>(name: "inner", capacity: 4)
    let outer = try HashOfMaps<UInt64, ArrayMap<UInt32>>(name: "outer", capacity: 2, template: template)
    let larger = try ArrayMap<UInt32>(name: "larger", capacity: 5)
    let error = #expect(throws: BPFError.self) { try outer.set(1, larger) }
    #expect(error?.hint?.contains("larger differs from the template") == true)
  }

  @Test func programArrayTakesOnlyPrograms() throws {
    let programs = try ProgramArrayMap(name: "programs", capacity: 2)
    let map = try ArrayMap<UInt32>(name: "no_program", capacity: 1)
    #expect(throws: BPFError.self) { try programs.set(0, map.raw.descriptor) }
    #expect(try programs.id(0) == nil)
    #expect(try !programs.remove(0))
  }

  @Test func iterationByKeyReportsTheKernelsRestart() throws {
    let map = try HashMap<UInt32, UInt32>(name: "by_key", capacity: 64)
    try map.update(keys: Array(0..<64), values: Array(0..<64), mode: .set)
    var count = 0
    try map.raw.forEachByKey { (_, _, _) throws(BPFError) in count += 1 }
    #expect(count == 64)
    // All but one key vanish while the first is being read: the successor that was asked for is gone.
    let error = #expect(throws: BPFError.self) {
      try map.raw.forEachByKey { (key, _, _) throws(BPFError) in
        let current = key.loadUnaligned(as: UInt32.self)
        try map.remove(keys: (0..<64).filter { $0 != current })
      }
    }
    #expect(error?.kind == .stale)
  }

  @Test func iterationGrowsItsBufferForACrowdedBucket() throws {
    // A megabyte a value: the buffer begins with one, and 32 entries share fewer than 32 of 32 buckets.
    let map = try RawMap(
      creating: MapDefinition(
        type: .hash, name: "crowded", keySize: 4, valueSize: 1 << 20, capacity: 32, options: .allocatingOnDemand))
    let value = [UInt8](repeating: 1, count: 1 << 20)
    for key in UInt32(0)..<32 {
      try withUnsafeBytes(of: key) { (key) throws(BPFError) in
        try value.withUnsafeBufferPointer { (value) throws(BPFError) in
          try map.updateBatch(keys: key.baseAddress!, values: value.baseAddress!, count: 1, mode: .set)
        }
      }
    }
    var count = 0
    try map.forEach { (key, value) throws(BPFError) in
      if key.byteCount == 4 && value.byteCount == 1 << 20 { count += 1 }
    }
    #expect(count == 32)
  }
}
