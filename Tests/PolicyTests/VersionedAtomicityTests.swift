import BPF
import CBPF
import Model
import Policy
import PolicyTesting
import TableTesting
import Testing

/// What programs see of changes that concern much at a time: both ends of a packet are judged by the same policies.
@Suite struct VersionedAtomicityTests {
  /// Tables in two versions, and what a program finds in them.
  private struct Tables {
    let versions: PolicyVersions
    let written: PolicyMaps
    /// As a program reads them, by the version that counts.
    let seen: PolicyMaps
    let version = MemoryArray<UInt32>(count: 1)

    init(_ log: WriteLog) {
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

  /// Verdicts of both ends at once: the sender's egress and the receiver's ingress.
  @Test(arguments: 0..<16)
  func `At no store is a packet judged by a mixture, whatever a change concerns`(seed: Int) throws {
    var cluster = RandomPolicyCluster.filled(seed: 50_000 + seed)
    let log = WriteLog()
    let tables = Tables(log)
    let table = PolicyTable(maps: tables.written, nodeName: RandomPolicyCluster.nodeName)
    _ = table.apply(ClusterState().changes(to: cluster.state))
    try tables.versions.publish()
    let evaluator = PolicyEvaluator(tables.seen)
    var now = ContinuousClock.now
    for step in 0..<30 {
      let change = cluster.edit()
      let questions = (0..<20).map { _ in
        (
          cluster.generator.pick(RandomPolicyCluster.points), cluster.generator.pick(RandomPolicyCluster.points),
          cluster.packet()
        )
      }
      // The sets of an endpoint are the data plane's to change.
      let asked = questions.map { (table.setID(of: $0.0), table.setID(of: $0.1), $0.2) }
      func answers() -> [[PolicyVerdict<UInt32>?]] {
        asked.map { question in
          [question.0, question.1].map { try? evaluator.verdict(of: $0, on: question.2) }
        }
      }
      let before = answers()
      var seen = Array(repeating: Set<[PolicyVerdict<UInt32>?]>(), count: asked.count)
      log.reader = { for (index, answer) in answers().enumerated() { seen[index].insert(answer) } }
      _ = table.apply([change])
      try tables.versions.publish()
      log.reader = {}
      let after = answers()
      for index in asked.indices {
        let isAllowed = seen[index].isSubset(of: [before[index], after[index]])
        try #require(
          isAllowed,
          "seed \(seed), step \(step), \(change): \(questions[index]) \(seen[index]) \(before[index]) \(after[index])")
      }
      now += .milliseconds(cluster.generator.below(900))
      try tables.versions.settle()
      _ = table.reclaim(now: now)
      try tables.versions.publish()
    }
  }

  /// What is written through versions is what is written without.
  @Test(arguments: 0..<8) func `Versions come to the same as one`(seed: Int) throws {
    var cluster = RandomPolicyCluster.filled(seed: 60_000 + seed)
    let tables = Tables(WriteLog())
    let table = PolicyTable(maps: tables.written, nodeName: RandomPolicyCluster.nodeName)
    _ = table.apply(ClusterState().changes(to: cluster.state))
    try tables.versions.publish()
    for _ in 0..<40 {
      _ = table.apply([cluster.edit()])
      try tables.versions.publish()
      let oracle = PolicyOracle(cluster.state)
      for point in RandomPolicyCluster.points where table.setID(of: point) != 0 {
        let packet = cluster.packet()
        let verdict = try PolicyEvaluator(tables.seen).verdict(of: table.setID(of: point), on: packet)
        #expect(verdict.decision == oracle.verdict(at: point, on: packet).decision)
      }
    }
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
