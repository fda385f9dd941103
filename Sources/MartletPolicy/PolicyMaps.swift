import BPF
import CBPF

/// The tables that ``PolicyTable`` writes and ``PolicyEvaluator`` reads. Their layouts are in `layout/policy.h`.
///
/// They begin empty, or filled with zeros, and belong to one ``PolicyTable``: policy tables are never taken over.
public struct PolicyMaps {
  /// Vectors, tables of vectors and the words of rules. Map `policy_words`.
  public let words: any ArrayStorage<UInt64>
  /// Versions of policy sets. Map `policy_headers`.
  public let headers: any ArrayStorage<policy_header>
  /// By id of a policy set: the header in use. Map `policy_sets`.
  public let sets: any ArrayStorage<UInt32>
  /// Classes of protocols and ports, `POLICY_PLANE_COUNT` planes of 65536. Map `policy_ports`.
  public let ports: any ArrayStorage<UInt32>
  /// Classes of addresses by the labels of whoever has them. Map `identities`.
  public let identities: any MapStorage<ip_address, UInt32>
  /// Classes of addresses by ranges. Longest-prefix match. Map `policy_prefixes`.
  public let prefixes: any MapStorage<ip_prefix, UInt32>
  /// Classes of addresses with protocol and port. Map `policy_tuples`.
  public let tuples: any MapStorage<policy_tuple, UInt32>
  /// What the ids of rules mean. Map `rule_names`.
  public let ruleNames: any MapStorage<UInt32, rule_name>
  /// What publishes the tables; `nil`: each store is seen at once.
  private(set) var versions: PolicyVersions?

  /// These tables.
  public init(
    words: any ArrayStorage<UInt64>, headers: any ArrayStorage<policy_header>, sets: any ArrayStorage<UInt32>,
    ports: any ArrayStorage<UInt32>, identities: any MapStorage<ip_address, UInt32>,
    prefixes: any MapStorage<ip_prefix, UInt32>, tuples: any MapStorage<policy_tuple, UInt32>,
    ruleNames: any MapStorage<UInt32, rule_name>
  ) {
    precondition(ports.count >= Self.portCount, "map policy_ports has room for \(ports.count) of \(Self.portCount)")
    self.words = words
    self.headers = headers
    self.sets = sets
    self.ports = ports
    self.identities = identities
    self.prefixes = prefixes
    self.tuples = tuples
    self.ruleNames = ruleNames
  }

  /// Entries of map `policy_ports`.
  public static let portCount = Int(POLICY_PLANE_COUNT.rawValue) << 16

  /// How many entries the tables have.
  public struct Capacity: Sendable, Hashable {
    /// 64-bit words of vectors.
    public var words = 1 << 18
    /// Versions of policy sets.
    public var headers = 1 << 12
    /// Policy sets.
    public var sets = 1 << 11
    /// Addresses with labels.
    public var identities = 1 << 16
    /// Ranges of addresses.
    public var prefixes = 1 << 16
    /// Addresses with protocol and port.
    public var tuples = 1 << 16
    /// Rules in use.
    public var ruleNames = 1 << 16

    /// Enough for tests and small clusters.
    public init() {}
  }

  /// Empty tables in this process's memory: for tests, and for predicting what a data plane will do.
  public static func inMemory(_ capacity: Capacity = Capacity()) -> PolicyMaps {
    PolicyMaps(
      words: MemoryArray(count: capacity.words), headers: MemoryArray(count: capacity.headers),
      sets: MemoryArray(count: capacity.sets), ports: MemoryArray(count: portCount),
      identities: MemoryMap(name: "identities", capacity: capacity.identities),
      prefixes: MemoryMap(.lpmTrie, name: "policy_prefixes", capacity: capacity.prefixes),
      tuples: MemoryMap(name: "policy_tuples", capacity: capacity.tuples),
      ruleNames: MemoryMap(name: "rule_names", capacity: capacity.ruleNames))
  }

  /// The same tables with all that a change concerns in two versions, which `versions` switches: what is written is not
  /// seen before it is published.
  ///
  /// - Parameter base: words, headers and names, of which there is one version: what they hold is not changed while
  ///   anybody may read it.
  public init(
    _ base: PolicyMaps.Unversioned, _ versions: PolicyVersions, sets: any ArrayStorage<policy_set>,
    ports: any ArrayStorage<policy_class>,
    identities: any MapStorage<ip_address, policy_class>, prefixes: any MapStorage<ip_prefix, policy_class>,
    tuples: any MapStorage<policy_tuple, policy_class>
  ) {
    self.init(
      words: base.words, headers: base.headers, sets: VersionedArray(sets, versions),
      ports: VersionedArray(ports, versions),
      identities: VersionedMap(identities, versions), prefixes: VersionedMap(prefixes, versions, around: \.around),
      tuples: VersionedMap(tuples, versions), ruleNames: base.ruleNames)
    self.versions = versions.isAlone ? nil : versions
  }

  /// The tables of which there is one version.
  public struct Unversioned {
    let words: any ArrayStorage<UInt64>
    let headers: any ArrayStorage<policy_header>
    let ruleNames: any MapStorage<UInt32, rule_name>

    /// These tables.
    public init(
      words: any ArrayStorage<UInt64>, headers: any ArrayStorage<policy_header>,
      ruleNames: any MapStorage<UInt32, rule_name>
    ) {
      (self.words, self.headers, self.ruleNames) = (words, headers, ruleNames)
    }
  }
}
