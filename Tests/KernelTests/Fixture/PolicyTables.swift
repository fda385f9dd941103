import BPF
import BPFTesting
import CBPF
import MartletNetworking
import MartletPolicy
import MartletServices
import Synchronization

/// The tables of policy of a loaded datapath, and policy sets written by hand.
final class PolicyTables: Sendable {
  /// One rule of a set.
  struct Rule: Sendable {
    var action: policy_action
    var id: UInt32
    /// The classes that it matches, by dimension; any class where there is no entry.
    var classes: [policy_dimension: Set<UInt32>] = [:]
    /// Where a rule that passes goes on.
    var next = PolicyTables.ruleLimit
    /// The families that it counts for.
    var families = AddressFamily.allCases

    init(
      _ action: policy_action, _ id: UInt32, _ classes: [policy_dimension: Set<UInt32>] = [:],
      families: [AddressFamily] = AddressFamily.allCases
    ) {
      (self.action, self.id, self.classes, self.families) = (action, id, classes, families)
    }

    /// A rule that goes on with the rule number `next`.
    static func pass(_ id: UInt32, to next: UInt32, _ classes: [policy_dimension: Set<UInt32>] = [:]) -> Rule {
      var rule = Rule(POLICY_PASS, id, classes)
      rule.next = next
      return rule
    }
  }

  /// The set that both pods have to begin with, which allows everything by no rule.
  static let open: UInt32 = 1

  /// POLICY_RULES_MAX, which is no constant that Swift imports.
  static let ruleLimit = UInt32(POLICY_SUMMARY_WORDS) * 64 * 64

  private let words: MappedArray<UInt64>
  private let headers: MappedArray<policy_header>
  private let version: MappedArray<UInt32>
  private let sets: MappedArray<policy_set>
  private let ports: MappedArray<policy_class>
  private let endpoints: MappedArray<endpoint_policies>
  private let identities: HashMap<ip_address, policy_class>
  private let prefixes: LPMTrieMap<ip_prefix, policy_class>
  private let tuples: HashMap<policy_tuple, policy_class>
  private let allowedSources: LPMTrieMap<allowed_source_key, UInt32>
  private let interfaces: HashMap<UInt32, UInt32>
  private let hosts: HashMap<UInt32, host_endpoints>
  private let failsafes: LPMTrieMap<failsafe_key, UInt32>
  private let blocked: LPMTrieMap<ip_prefix, UInt32>
  /// What is free, and the ports that have a class.
  private let used = Mutex<(words: Int, headers: UInt32, sets: UInt32, ports: [Int])>((1, 1, 1, []))

  static func resize(_ opening: borrowing OpenObject) throws(BPFError) {
    try opening.resize(map: "policy_words", to: 1 << 18)
  }

  init(_ programs: borrowing Object) throws {
    words = try MappedArray(programs.mapDescriptor(named: "policy_words"))
    headers = try MappedArray(programs.mapDescriptor(named: "policy_headers"))
    version = try MappedArray(programs.mapDescriptor(named: "policy_version"))
    sets = try MappedArray(programs.mapDescriptor(named: "policy_sets"))
    ports = try MappedArray(programs.mapDescriptor(named: "policy_ports"))
    endpoints = try MappedArray(programs.mapDescriptor(named: "endpoint_policies"))
    identities = try HashMap(programs.mapDescriptor(named: "identities"))
    prefixes = try LPMTrieMap(programs.mapDescriptor(named: "policy_prefixes"))
    tuples = try HashMap(programs.mapDescriptor(named: "policy_tuples"))
    allowedSources = try LPMTrieMap(programs.mapDescriptor(named: "allowed_sources"))
    interfaces = try HashMap(programs.mapDescriptor(named: "endpoint_interfaces"))
    hosts = try HashMap(programs.mapDescriptor(named: "host_endpoints"))
    failsafes = try LPMTrieMap(programs.mapDescriptor(named: "failsafes"))
    blocked = try LPMTrieMap(programs.mapDescriptor(named: "blocked_prefixes"))
  }

  /// Makes it as if nothing but the open set had been written, and both pods had that.
  func reset() throws {
    used.withLock { used in
      for port in used.ports { ports.write([policy_class(both: 0)], at: port) }
      used = (1, 1, 1, [])
    }
    try identities.removeAll()
    try prefixes.removeAll()
    try tuples.removeAll()
    try allowedSources.removeAll()
    try interfaces.removeAll()
    try hosts.removeAll()
    try failsafes.removeAll()
    try blocked.removeAll()
    publish()
    precondition(write([], unmatched: POLICY_ALLOW) == Self.open)
    for pod in [Party.pod1, .pod2] { assign(pod, ingress: Self.open, egress: Self.open) }
  }

  /// Says what is asked before connections are tracked, what pods may send to their node, and how often policies have
  /// changed: an even number, as what is written here is in both versions.
  func publish(
    untracked: UInt32 = 0, workloadToHost: workload_to_host = WORKLOAD_TO_HOST_ACCEPT, count: UInt32 = 0
  ) {
    let flags =
      untracked << UInt32(POLICY_VERSION_UNTRACKED_SHIFT)
      | workloadToHost.rawValue << UInt32(POLICY_VERSION_WORKLOAD_TO_HOST_SHIFT)
    version.write([flags | count], at: 0)
  }

  /// Has every pod of the datapath allowed everything.
  static func open(_ programs: borrowing Object) throws {
    let tables = try PolicyTables(programs)
    let set = tables.write([], unmatched: POLICY_ALLOW)
    let policy = endpoint_policies(both: endpoint_policy(ingress: set, egress: set))
    tables.endpoints.write(Array(repeating: policy, count: tables.endpoints.count - 1), at: 1)
  }
}

// MARK: - Who is judged by what

extension PolicyTables {
  /// Has `pod` judged by these sets.
  func assign(_ pod: Party, ingress: UInt32 = PolicyTables.open, egress: UInt32 = PolicyTables.open) {
    endpoints.write(
      [endpoint_policies(both: endpoint_policy(ingress: ingress, egress: egress))], at: Int(DatapathFixture.slot(pod)))
  }

  /// Lets `pod`, at `interface`, send from `prefix`.
  func allow(_ pod: Party, at interface: Interface, from prefix: IPPrefix) throws {
    let slot = DatapathFixture.slot(pod)
    try interfaces.set(interface.index, slot)
    var key = allowed_source_key()
    key.length = 32 + ip_prefix(prefix).length
    key.endpoint = slot.bigEndian
    key.address = ip_prefix(prefix).address
    try allowedSources.set(key, 1)
  }

  /// Has what crosses `interface`, or every interface that has no endpoint of its own, judged by `endpoint`.
  func protect(_ interface: Interface?, by endpoint: host_endpoint) throws {
    var endpoint = endpoint
    endpoint.present = 1
    try hosts.set(interface?.index ?? 0, host_endpoints(both: endpoint))
  }

  /// Keeps a port of the host open for peers within `prefix`; for egress, a port of theirs.
  func keepOpen(_ number: L4Protocol, _ port: UInt16, from prefix: IPPrefix, egress: Bool = false) throws {
    let wanted = prefix.length == 0 ? ip_prefix() : ip_prefix(prefix)
    try failsafes.set(
      failsafe_key(
        length: 32 + wanted.length, egress: egress ? 1 : 0, protocol: number.rawValue, port: port.bigEndian,
        address: wanted.address), 1)
  }

  /// Hears nothing from senders within `prefix`.
  func block(_ prefix: IPPrefix) throws { try blocked.set(ip_prefix(prefix), 1) }

  // MARK: Classes

  func identify(_ party: Party, _ family: AddressFamily, as number: UInt32) throws {
    try identities.set(ip_address(party.address(family)), policy_class(both: number))
  }

  func classify(_ prefix: IPPrefix, as number: UInt32) throws {
    try prefixes.set(ip_prefix(prefix), policy_class(both: number))
  }

  func classify(_ socket: EndAddress, _ number: L4Protocol, as value: UInt32) throws {
    var key = policy_tuple()
    key.address = ip_address(socket.address)
    key.port = socket.port.bigEndian
    key.protocol = number.rawValue
    try tuples.set(key, policy_class(both: value))
  }

  /// `value` is the port, or for ICMP type and code, or the protocol.
  func classify(_ plane: policy_plane, _ value: UInt16, as number: UInt32) {
    let index = Int(plane.rawValue) << 16 | Int(value)
    used.withLock { $0.ports.append(index) }
    ports.write([policy_class(both: number)], at: index)
  }
}

// MARK: - Sets

extension PolicyTables {
  /// Writes a set and returns its id. Rule number i is bit `spacing * i`.
  func write(_ rules: [Rule], unmatched: policy_action? = nil, spacing: Int = 1) -> UInt32 {
    let header = writeHeader(rules, unmatched, spacing)
    return used.withLock { used in
      sets.write([policy_set(both: header)], at: Int(used.sets))
      used.sets += 1
      return used.sets - 1
    }
  }

  /// Puts other rules in place of those of a set.
  func replace(_ set: UInt32, with rules: [Rule], unmatched: policy_action? = nil) {
    sets.write([policy_set(both: writeHeader(rules, unmatched, 1))], at: Int(set))
  }

  /// Makes `set` one that nobody can read: header 0.
  func close(_ set: UInt32) { sets.write([policy_set(both: 0)], at: Int(set)) }

  private func writeHeader(_ rules: [Rule], _ unmatched: policy_action?, _ spacing: Int) -> UInt32 {
    var header = policy_header()
    header.unmatched = unmatched?.rawValue ?? 0
    header.live = (live(rules, .ipv4, spacing), live(rules, .ipv6, spacing))
    header.rules = store(rules.flatMap { [word($0, spacing)] + Array(repeating: 0, count: spacing - 1) })
    var (tables, classes, fallback) = (header.tables, header.classes, header.fallback)
    for dimension in 0..<POLICY_DIMENSION_COUNT.rawValue {
      let constrained = rules.compactMap { $0.classes[policy_dimension(dimension)] }
      guard !constrained.isEmpty else { continue }
      let count = constrained.joined().max().map { $0 + 1 } ?? 0
      header.dimensions |= 1 << dimension
      set(&classes, dimension, count)
      set(&tables, dimension, store((0..<count).map { UInt64(vector(rules, dimension, $0, spacing)) }))
      set(&fallback, dimension, vector(rules, dimension, nil, spacing))
    }
    (header.tables, header.classes, header.fallback) = (tables, classes, fallback)
    return used.withLock { used in
      headers.write([header], at: Int(used.headers))
      used.headers += 1
      return used.headers - 1
    }
  }

  private typealias Eight = (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32)

  private func set(_ words: inout Eight, _ index: UInt32, _ value: UInt32) {
    withUnsafeMutableBytes(of: &words) {
      $0.storeBytes(of: value, toByteOffset: Int(index) * MemoryLayout<UInt32>.size, as: UInt32.self)
    }
  }

  private func word(_ rule: Rule, _ spacing: Int) -> UInt64 {
    let next = rule.next == Self.ruleLimit ? rule.next : rule.next * UInt32(spacing)
    return UInt64(rule.id) << 32 | UInt64(rule.action.rawValue) << 24 | UInt64(next)
  }

  private func live(_ rules: [Rule], _ family: AddressFamily, _ spacing: Int) -> UInt32 {
    vector(rules.indices.filter { rules[$0].families.contains(family) }.map { $0 * spacing })
  }

  private func vector(_ rules: [Rule], _ dimension: UInt32, _ number: UInt32?, _ spacing: Int) -> UInt32 {
    vector(
      rules.indices.filter { index in
        guard let wanted = rules[index].classes[policy_dimension(dimension)] else { return true }
        return number.map(wanted.contains) ?? false
      }.map { $0 * spacing })
  }

  /// Writes the vector with these bits.
  private func vector(_ bits: [Int]) -> UInt32 {
    var summary = [UInt64](repeating: 0, count: Int(POLICY_SUMMARY_WORDS))
    let groups = Dictionary(grouping: bits) { $0 / 64 }
    for word in groups.keys { summary[word / 64] |= 1 << UInt64(word % 64) }
    let words = groups.sorted { $0.key < $1.key }.map { $0.value.reduce(UInt64(0)) { $0 | 1 << UInt64($1 % 64) } }
    return store(summary + words)
  }

  private func store(_ values: [UInt64]) -> UInt32 {
    used.withLock { used in
      words.write(values, at: used.words)
      used.words += values.count
      return UInt32(used.words - values.count)
    }
  }
}
