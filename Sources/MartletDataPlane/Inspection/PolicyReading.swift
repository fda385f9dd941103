import BPF
import CBPF
import MartletModel
import MartletPolicy
import Netlink
import TableSupport

/// A policy as this node enforces it.
public struct PolicyReading: Hashable, Sendable, Codable {
  /// The name of its tier.
  public var tier: String
  /// The kind of object that it was written as.
  public var kind: String
  /// "namespace/name", or the name alone.
  public var name: String
  /// The endpoints of this node that it applies to: "pod namespace/name", "host endpoint name".
  public var endpoints: [String]
  /// The ids of the policy sets that it is part of.
  public var sets: [UInt32]
}

/// A policy set as an endpoint is judged by it.
public struct PolicySetReading: Hashable, Sendable, Codable {
  /// The endpoint.
  public var endpoint: String
  /// When it is asked: "ingress", "egress", of host endpoints also "forward ingress" and the like.
  public var stage: String
  /// The set's id.
  public var set: UInt32
  /// The rules in order of evaluation.
  public var rules: [RuleReading]

  /// A rule.
  public struct RuleReading: Hashable, Sendable, Codable {
    /// The id, as flows have it.
    public var id: UInt32
    /// Allow, Deny, Pass, Log or Reject.
    public var action: String
    /// The tier; empty for a profile.
    public var tier: String
    /// The policy or profile with its kind; empty for the end of a tier.
    public var policy: String
    /// Ingress or Egress.
    public var direction: String
    /// The place in the policy's list, from 0.
    public var index: Int
  }
}

/// Reads from a data plane's maps which policies it enforces.
public struct PolicyInspection {
  private let maps: DatapathPolicyMaps

  /// An inspection of `maps`.
  public init(_ maps: DatapathPolicyMaps) { self.maps = maps }

  // MARK: - Policies

  /// Every policy that applies to something on this node, in order of evaluation.
  public func policies() throws(BPFError) -> [PolicyReading] {
    var lists: [UInt32: [Int: RuleName]] = [:]
    try maps.names.policies.forEach { position, entry throws(BPFError) in
      if let name = RuleName(entry) { lists[position.set, default: [:]][Int(position.index)] = name }
    }
    var endpoints: [UInt32: Set<String>] = [:]
    for stage in try stages() { endpoints[stage.set, default: []].insert(stage.endpoint) }
    let inUse = lists.filter { endpoints[$0.key] != nil }
    let ordered = Self.merge(
      inUse.sorted { $0.key < $1.key }.map { list in list.value.sorted { $0.key < $1.key }.map(\.value) })
    return ordered.compactMap { name in
      let sets = inUse.filter { $0.value.values.contains(name) }.keys.sorted()
      guard case .policy(let policy, let tier) = name.owner else { return nil }
      return PolicyReading(
        tier: tier, kind: policy.kind.rawValue, name: "\(policy.name)",
        endpoints: Set(sets.flatMap { endpoints[$0] ?? [] }).sorted(), sets: sets)
    }
  }

  /// The elements of `lists`, each once, in an order that agrees with that of every list. Where no list says which of two
  /// comes first, the usual order of tiers does.
  private static func merge(_ lists: [[RuleName]]) -> [RuleName] {
    var rest = lists.map { $0[...] }
    var merged: [RuleName] = []
    // The head of a list that no other list has further behind comes next; lists that contradict each other, as when they
    // are read while they change, are taken as they come.
    while true {
      let heads = Set(rest.compactMap(\.first))
      let free = heads.filter { head in !rest.contains { $0.dropFirst().contains(head) } }
      guard let next = (free.isEmpty ? heads : free).min(by: { sortKey($0) < sortKey($1) }) else { return merged }
      merged.append(next)
      rest = rest.map { $0.first == next ? $0.dropFirst() : $0.filter { $0 != next }[...] }
    }
  }

  private static func sortKey(_ rule: RuleName) -> (Int, String, String) {
    guard case .policy(let policy, let tier) = rule.owner else { return (0, "", "") }
    let place = Tier.builtIn.firstIndex { $0.name == tier }
    // Tiers of one's own come between those of administrators and the standard one, more often than not.
    return (place.map { $0 == 0 ? 0 : $0 + 1 } ?? 1, tier, "\(policy)")
  }

  // MARK: - Sets

  /// What judges each endpoint of this node whose name `isWanted`, with the rules.
  public func sets(where isWanted: (String) -> Bool = { _ in true }) throws(BPFError) -> [PolicySetReading] {
    var readings: [PolicySetReading] = []
    for stage in try stages() where isWanted(stage.endpoint) {
      readings.append(
        PolicySetReading(
          endpoint: stage.endpoint, stage: stage.name, set: stage.set, rules: try rules(of: stage.set)))
    }
    return readings
  }

  private struct Stage {
    let endpoint: String
    let name: String
    let set: UInt32
  }

  private func stages() throws(BPFError) -> [Stage] {
    var stages: [Stage] = []
    var pods: [(name: NamespacedName, slot: UInt32)] = []
    try maps.names.pods.forEach { slot, name throws(BPFError) in pods.append((name.namespacedName, slot)) }
    for pod in pods.sorted(by: { $0.name < $1.name }) where Int(pod.slot) < maps.endpointPolicies.count {
      let sets = maps.endpointPolicy(ofSlot: pod.slot)
      stages.append(Stage(endpoint: "pod \(pod.name)", name: "ingress", set: sets.ingress))
      stages.append(Stage(endpoint: "pod \(pod.name)", name: "egress", set: sets.egress))
    }
    var hosts: [(name: String, interface: UInt32)] = []
    try maps.names.hostEndpoints.forEach { interface, name throws(BPFError) in hosts.append((name.text, interface)) }
    for host in hosts.sorted(by: { ($0.name, $0.interface) < ($1.name, $1.interface) }) {
      guard let sets = try maps.hostEndpoint(at: host.interface) else { continue }
      stages += sets.stages.map { Stage(endpoint: "host endpoint \(host.name)", name: $0.name, set: $0.set) }
    }
    return stages.filter { $0.set != 0 }
  }

  /// The live rules of a set: their words are in the order of their bits.
  private func rules(of set: UInt32) throws(BPFError) -> [PolicySetReading.RuleReading] {
    let slot = maps.header(ofSet: set)
    guard slot != 0 else { return [] }
    let header = maps.headers.read(Int(slot))
    let bits = Set(bits(at: Int(header.live.0)) + bits(at: Int(header.live.1))).sorted()
    var readings: [PolicySetReading.RuleReading] = []
    for bit in bits {
      let word = maps.words.read(Int(header.rules) + bit)
      let id = UInt32(word >> UInt64(POLICY_RULE_ID_SHIFT))
      guard let entry = try maps.ruleNames.get(id), let name = RuleName(entry) else { continue }
      let action = policy_action(UInt32(word >> UInt64(POLICY_RULE_ACTION_SHIFT)) & 0xff)
      let reading = PolicySetReading.RuleReading(id, name, action)
      // A rule may take several bits, side by side.
      if readings.last != reading { readings.append(reading) }
    }
    return readings
  }

  /// The numbers of the bits of a vector.
  private func bits(at offset: Int) -> [Int] {
    var bits: [Int] = []
    var next = offset + Int(POLICY_SUMMARY_WORDS)
    for word in 0..<(Int(POLICY_SUMMARY_WORDS) * 64) {
      guard maps.words.read(offset + word / 64) >> UInt64(word % 64) & 1 == 1 else { continue }
      let value = maps.words.read(next)
      bits += (0..<64).filter { value >> UInt64($0) & 1 == 1 }.map { word * 64 + $0 }
      next += 1
    }
    return bits
  }
}

extension PolicySetReading.RuleReading {
  fileprivate init(_ id: UInt32, _ name: RuleName, _ action: policy_action) {
    let (tier, policy) =
      switch name.owner {
      case .policy(let policy, let tier): (tier, "\(policy)")
      case .tierEnd(let tier): (tier, "")
      case .profile(let profile): ("", "Profile \(profile)")
      }
    self.init(
      id: id, action: Self.actionName(action), tier: tier, policy: policy, direction: name.direction.rawValue,
      index: name.index)
  }

  private static func actionName(_ action: policy_action) -> String {
    switch action {
    case POLICY_ALLOW: "Allow"
    case POLICY_DENY: "Deny"
    case POLICY_PASS: "Pass"
    case POLICY_LOG: "Log"
    case POLICY_REJECT: "Reject"
    default: "action \(action.rawValue)"
    }
  }
}

extension host_endpoint {
  fileprivate var stages: [(name: String, set: UInt32)] {
    [
      ("untracked ingress", untracked_ingress), ("untracked egress", untracked_egress), ("before NAT", before_nat),
      ("ingress", ingress), ("egress", egress), ("forward ingress", forward_ingress),
      ("forward egress", forward_egress),
    ]
  }
}
