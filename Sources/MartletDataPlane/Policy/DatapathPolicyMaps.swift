import BPF
import CBPF

/// Handles to the datapath's maps of policy.
///
/// They are new with every load of the datapath, and pinned once they are filled and the programs in use, in place of
/// those of the load before: for tools, never to be taken over.
public final class DatapathPolicyMaps: Sendable {
  let words: SharedArray<MappedArray<UInt64>>
  let headers: SharedArray<MappedArray<policy_header>>
  /// Which of two versions counts.
  let version: SharedArray<MappedArray<UInt32>>
  let sets: SharedArray<MappedArray<policy_set>>
  let ports: SharedArray<MappedArray<policy_class>>
  let identities: SharedMap<HashMap<ip_address, policy_class>>
  let prefixes: SharedMap<LPMTrieMap<ip_prefix, policy_class>>
  let tuples: SharedMap<HashMap<policy_tuple, policy_class>>
  let endpointPolicies: SharedArray<MappedArray<endpoint_policies>>
  let hostEndpoints: SharedMap<HashMap<UInt32, host_endpoints>>
  let failsafes: SharedMap<LPMTrieMap<failsafe_key, UInt32>>
  let allowedSources: SharedMap<LPMTrieMap<allowed_source_key, UInt32>>
  let blockedPrefixes: SharedMap<LPMTrieMap<ip_prefix, UInt32>>
  /// For tools alone, as the datapath does not read it.
  let ruleNames: SharedMap<HashMap<UInt32, rule_name>>
  /// Likewise.
  let names: PolicyNames

  /// Takes each map of the datapath from `descriptor(name)`, and those for tools as they are.
  private init(
    _ descriptor: (String) throws(BPFError) -> FileDescriptor, ruleNames: consuming HashMap<UInt32, rule_name>,
    names: PolicyNames
  ) throws(BPFError) {
    words = SharedArray(try MappedArray(descriptor("policy_words")))
    headers = SharedArray(try MappedArray(descriptor("policy_headers")))
    version = SharedArray(try MappedArray(descriptor("policy_version")))
    sets = SharedArray(try MappedArray(descriptor("policy_sets")))
    ports = SharedArray(try MappedArray(descriptor("policy_ports")))
    identities = SharedMap(try HashMap(descriptor("identities")))
    prefixes = SharedMap(try LPMTrieMap(descriptor("policy_prefixes")))
    tuples = SharedMap(try HashMap(descriptor("policy_tuples")))
    endpointPolicies = SharedArray(try MappedArray(descriptor("endpoint_policies")))
    hostEndpoints = SharedMap(try HashMap(descriptor("host_endpoints")))
    failsafes = SharedMap(try LPMTrieMap(descriptor("failsafes")))
    allowedSources = SharedMap(try LPMTrieMap(descriptor("allowed_sources")))
    blockedPrefixes = SharedMap(try LPMTrieMap(descriptor("blocked_prefixes")))
    self.ruleNames = SharedMap(ruleNames)
    self.names = names
  }

  /// Those of an object that has just been loaded.
  convenience init(of object: borrowing Object) throws(BPFError) {
    let descriptors = try DatapathMaps.descriptors(of: object)
    try self.init(
      { name throws(BPFError) in try DatapathMaps.descriptor(of: name, among: descriptors) },
      ruleNames: HashMap(name: "rule_names", capacity: 1 << 17, options: .allocatingOnDemand),
      names: PolicyNames())
  }

  /// Those that a data plane has pinned under `pins`, whether or not its agent runs. For inspection.
  ///
  /// Throws ``BPFError/Kind-swift.struct/notFound`` if there are none.
  public convenience init(pinnedUnder pins: PinFolder) throws(BPFError) {
    try self.init(
      { name throws(BPFError) in try RawMap(pinned: pins.map(name)).descriptor.duplicate() },
      ruleNames: HashMap(pinned: pins.map("rule_names")), names: PolicyNames(pinnedUnder: pins))
  }

  /// Pins them under `pins`. What a former agent has pinned there is replaced, each map in one step.
  func pin(under pins: PinFolder) throws(BPFError) {
    try pins.replace(words.base, as: "policy_words")
    try pins.replace(headers.base, as: "policy_headers")
    try pins.replace(version.base, as: "policy_version")
    try pins.replace(sets.base, as: "policy_sets")
    try pins.replace(ports.base, as: "policy_ports")
    try pins.replace(identities.base, as: "identities")
    try pins.replace(prefixes.base, as: "policy_prefixes")
    try pins.replace(tuples.base, as: "policy_tuples")
    try pins.replace(endpointPolicies.base, as: "endpoint_policies")
    try pins.replace(hostEndpoints.base, as: "host_endpoints")
    try pins.replace(failsafes.base, as: "failsafes")
    try pins.replace(allowedSources.base, as: "allowed_sources")
    try pins.replace(blockedPrefixes.base, as: "blocked_prefixes")
    try pins.replace(ruleNames.base, as: "rule_names")
    try names.pin(under: pins)
  }
}

// MARK: - What counts

extension DatapathPolicyMaps {
  private var current: Int { Int(version.read(0) & 1) }

  /// The header that a set has; 0: the one that denies.
  func header(ofSet set: UInt32) -> UInt32 { Int(set) < sets.count ? sets.read(Int(set))[current] : 0 }

  /// The sets that the pod in a slot is judged by.
  func endpointPolicy(ofSlot slot: UInt32) -> endpoint_policy { endpointPolicies.read(Int(slot))[current] }

  /// The sets that traffic through an interface is judged by; `nil`: it has no host endpoint.
  func hostEndpoint(at interface: UInt32) throws(BPFError) -> host_endpoint? {
    try hostEndpoints.get(interface).flatMap { $0[current].present != 0 ? $0[current] : nil }
  }
}
