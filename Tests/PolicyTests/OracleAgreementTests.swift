import BPF
import MartletModel
import MartletPolicy
import PolicyTesting
import Testing

/// Random policies and packets: the tables say what the objects say, and by the same rule.
///
/// Each argument is a seed; a failure names it and the smallest state that fails in the same way.
@Suite struct OracleAgreementTests {
  /// With the numbers below, 1,000,000 cases: a fresh table for each of 2,000 states, and 500 questions to each.
  static let seeds = 0..<20
  static let statesPerSeed = 100
  static let questionsPerState = 500

  @Test(arguments: seeds)
  func `Tables made at once say what the objects say`(seed: Int) throws {
    for index in 0..<Self.statesPerSeed {
      var cluster = RandomPolicyCluster.filled(seed: seed * Self.statesPerSeed + index, objects: 10 + index % 40)
      let isVersioned = index.isMultiple(of: 4)
      let fresh = try FreshTables(cluster.state, isVersioned: isVersioned)
      #expect(fresh.problems.isEmpty)
      for _ in 0..<Self.questionsPerState {
        let (point, packet) = (cluster.generator.pick(RandomPolicyCluster.points), cluster.packet())
        guard let mismatch = try fresh.mismatch(at: point, on: packet) else { continue }
        let smallest = shrink(cluster.state) { state in
          (try? FreshTables(state, isVersioned: isVersioned).mismatch(at: point, on: packet)) ?? nil != nil
        }
        Issue.record("seed \(seed), state \(index): \(mismatch)\n\(smallest.listing)")
        return
      }
    }
  }
}

/// Tables of one state.
struct FreshTables {
  /// As programs read them.
  private let seen: PolicyMaps
  let table: PolicyTable
  let oracle: PolicyOracle
  let problems: [PolicyProblem]

  /// Tables in one version or, as the data plane has them, in two.
  init(_ state: ClusterState, isVersioned: Bool) throws {
    let tables = isVersioned ? VersionedTables() : nil
    let written = tables?.written ?? PolicyMaps.inMemory(.small)
    seen = tables?.seen ?? written
    table = PolicyTable(maps: written, nodeName: RandomPolicyCluster.nodeName)
    problems = table.apply(ClusterState().changes(to: state)).problems.filter { !$0.isExpected }
    try tables?.versions.publish()
    oracle = PolicyOracle(state)
  }

  func mismatch(at point: PolicyPoint, on packet: PolicyPacket) throws -> VerdictMismatch? {
    try table.mismatch(at: point, on: packet, PolicyEvaluator(seen), oracle)
  }
}

extension PolicyMaps.Capacity {
  /// Enough for the random clusters.
  static let small = {
    var capacity = PolicyMaps.Capacity()
    (capacity.words, capacity.headers, capacity.sets) = (1 << 16, 1 << 9, 1 << 8)
    return capacity
  }()
}

extension PolicyProblem {
  /// Policies of a random cluster name a tier that is not there on purpose.
  var isExpected: Bool {
    if case .unknownTier = reason { return true }
    return false
  }
}

extension ClusterState {
  /// The objects, one a line.
  var listing: String { ClusterState().changes(to: self).map { "\($0)" }.joined(separator: "\n") }
}
