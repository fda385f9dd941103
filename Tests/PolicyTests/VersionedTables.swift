import BPF
import CBPF
import MartletPolicy
import TableTesting

/// Tables in two versions, and what a program finds in them.
struct VersionedTables {
  let versions: PolicyVersions
  let written: PolicyMaps
  /// As a program reads them, by the version that counts.
  let seen: PolicyMaps
  let version = MemoryArray<UInt32>(count: 1)

  init(_ log: WriteLog = WriteLog()) {
    let plain = PolicyMaps.inMemory(.small)
    let sets = MemoryArray<policy_set>(count: plain.sets.count)
    let ports = MemoryArray<policy_class>(count: PolicyMaps.portCount)
    let identities = MemoryMap<ip_address, policy_class>(name: "identities", capacity: 1 << 12)
    let prefixes = MemoryMap<ip_prefix, policy_class>(.lpmTrie, name: "policy_prefixes", capacity: 1 << 12)
    let tuples = MemoryMap<policy_tuple, policy_class>(name: "policy_tuples", capacity: 1 << 12)
    versions = PolicyVersions(WatchedArray(version, log))
    let watched = plain.watched(by: log)
    written = PolicyMaps(
      PolicyMaps.Unversioned(
        words: watched.words, headers: watched.headers, ruleNames: watched.ruleNames),
      versions, sets: WatchedArray(sets, log),
      ports: WatchedArray(ports, log, stride: 4096), identities: WatchedMap(identities, log),
      prefixes: WatchedMap(prefixes, log), tuples: WatchedMap(tuples, log))
    seen = PolicyMaps(
      words: plain.words, headers: plain.headers, sets: SeenArray(sets, version),
      ports: SeenArray(ports, version),
      identities: SeenMap(identities, version), prefixes: SeenMap(prefixes, version),
      tuples: SeenMap(tuples, version), ruleNames: plain.ruleNames)
  }
}

/// An array as a program reads it.
private struct SeenArray<Pair: VersionPair & BitwiseCopyable>: ArrayStorage {
  let base: any ArrayStorage<Pair>
  let version: MemoryArray<UInt32>

  init(_ base: any ArrayStorage<Pair>, _ version: MemoryArray<UInt32>) { (self.base, self.version) = (base, version) }

  var count: Int { base.count }
  func read(_ index: Int) -> Pair.Value { base.read(index)[Int(version.read(0) & 1)] }
  func write(_ values: [Pair.Value], at offset: Int) { preconditionFailure("programs do not write") }
}

/// A map as a program reads it.
private struct SeenMap<Key: BitwiseCopyable, Pair: VersionPair & BitwiseCopyable>: MapStorage {
  let base: any MapStorage<Key, Pair>
  let version: MemoryArray<UInt32>

  init(_ base: any MapStorage<Key, Pair>, _ version: MemoryArray<UInt32>) {
    (self.base, self.version) = (base, version)
  }

  func get(_ key: Key) throws(BPFError) -> Pair.Value? { try base.get(key).map { $0[Int(version.read(0) & 1)] } }
  func update(_ key: Key, _ value: Pair.Value, mode: UpdateMode) { preconditionFailure("programs do not write") }
  func remove(_ key: Key) -> Bool { preconditionFailure("programs do not write") }
  func take(_ key: Key) -> Pair.Value? { preconditionFailure("programs do not write") }
  func update(keys: [Key], values: [Pair.Value], mode: UpdateMode) { preconditionFailure("programs do not write") }
  func remove(keys: [Key]) -> Int { preconditionFailure("programs do not write") }
  func forEach(_ body: (Key, Pair.Value) throws(BPFError) -> Void) throws(BPFError) {
    try base.forEach { key, pair throws(BPFError) in try body(key, pair[Int(version.read(0) & 1)]) }
  }
}
