import CBPF
import MartletModel

/// Policies, tiers and profiles as they are now, compiled to rules, and their order.
final class PolicyCatalog {
  /// A policy by its number.
  final class Entry {
    let number: Int
    fileprivate(set) var policy: Policy
    fileprivate var rules: [PolicyDirection: [CompiledRule]] = [:]

    fileprivate init(number: Int, policy: Policy) {
      self.number = number
      self.policy = policy
    }
  }

  private struct TierEnd: Hashable {
    let tier: String
    let direction: PolicyDirection
    let rejects: Bool
  }

  private struct ProfileRules: Hashable {
    let name: String
    let direction: PolicyDirection
  }

  /// Given later, as it knows the sets, which know the catalog.
  private var book: RuleBook?
  private var numbers: [PolicyName: Int] = [:]
  private var entries: [Entry?] = []
  private var free: [Int] = []
  private var tiers: [String: Tier] = [:]
  private var tierEnds: [TierEnd: CompiledRule] = [:]
  private var profiles: [String: Profile] = [:]
  private var profileRules: [ProfileRules: [CompiledRule]] = [:]

  init() {
    for tier in Tier.builtIn { tiers[tier.name] = tier }
    for profile in Self.builtInProfiles { profiles[profile.name] = profile }
  }

  /// To be called once, before anything else.
  func begin(_ book: RuleBook) {
    self.book = book
    for profile in Self.builtInProfiles { compile(profile, profile.name) }
  }

  // MARK: - Policies

  /// The policy `name`.
  subscript(name: PolicyName) -> Entry? { numbers[name].flatMap { entries[$0] } }

  /// The policy with a number.
  subscript(number: Int) -> Entry? { entries[number] }

  /// Enters a policy, or puts another in the place of the one with its name.
  func set(_ policy: Policy) -> Entry {
    let entry = self[policy.name] ?? add(policy)
    let hasSameDenials = entry.policy.rejects == policy.rejects
    entry.policy = policy
    for direction in PolicyDirection.allCases {
      let known = hasSameDenials ? entry.rules[direction] ?? [] : []
      entry.rules[direction] = compile(
        policy.rules(direction), instead: known, .policy(policy.name, tier: policy.tier), direction,
        denies: policy.rejects ? POLICY_REJECT : POLICY_DENY)
    }
    return entry
  }

  private func add(_ policy: Policy) -> Entry {
    let number = free.popLast() ?? entries.count
    if number == entries.count { entries.append(nil) }
    let entry = Entry(number: number, policy: policy)
    entries[number] = entry
    numbers[policy.name] = number
    return entry
  }

  /// Forgets a policy, which no list has any more.
  func remove(_ name: PolicyName) {
    guard let number = numbers.removeValue(forKey: name) else { return }
    entries[number] = nil
    free.append(number)
  }

  /// Compiles rules. Those that are in `known` stay what they are, wherever they are now.
  private func compile(
    _ rules: [PolicyRule], instead known: [CompiledRule], _ owner: RuleName.Owner, _ direction: PolicyDirection,
    denies: policy_action = POLICY_DENY
  ) -> [CompiledRule] {
    guard let book else { return [] }
    let same = zip(rules, known).prefix { $0 == $1.rule }.count
    var others = Dictionary(grouping: known.dropFirst(same).reversed(), by: \.rule)
    return rules.enumerated().map { index, rule in
      let name = RuleName(owner, direction, index)
      guard let old = index < same ? known[index] : others[rule]?.popLast() else {
        return book.rule(rule, name, denies: denies)
      }
      book.rename(old, name)
      return old
    }
  }

  // MARK: - Tiers

  /// The tiers that somebody has written; the built-in ones stay what they are.
  func set(_ tier: Tier?, named name: String) {
    guard !Tier.builtIn.contains(where: { $0.name == name }) else { return }
    tiers[name] = tier
  }

  /// Whether there is a tier of this name.
  func hasTier(_ name: String) -> Bool { tiers[name] != nil }

  private func tier(_ name: String) -> Tier { tiers[name] ?? Tier(name: name, order: nil, end: .deny) }

  private func precedes(_ left: String, _ right: String) -> Bool {
    switch (tiers[left], tiers[right]) {
    case (let left?, let right?): left < right
    case (nil, nil): left < right
    case (let left, _): left != nil
    }
  }

  private func tierEnd(_ tier: String, _ direction: PolicyDirection, rejects: Bool) -> CompiledRule? {
    let key = TierEnd(tier: tier, direction: direction, rejects: rejects)
    if let rule = tierEnds[key] { return rule }
    let rule = book?.rule(
      PolicyRule(.deny), RuleName(.tierEnd(tier), direction, 0), denies: rejects ? POLICY_REJECT : POLICY_DENY)
    tierEnds[key] = rule
    return rule
  }

  // MARK: - Profiles

  /// What each namespace has that nobody has written a profile for.
  static let namespaceProfile = Profile(
    name: Profile.ofNamespace("*"), ingress: [PolicyRule(.allow)], egress: [PolicyRule(.allow)])
  private static let builtInProfiles = [namespaceProfile, Profile.defaultAllow]

  /// A profile that somebody has written, or no longer.
  func set(_ profile: Profile?, named name: String) {
    let profile = profile ?? Self.builtInProfiles.first { $0.name == name }
    profiles[name] = profile
    compile(profile, name)
  }

  private func compile(_ profile: Profile?, _ name: String) {
    for direction in PolicyDirection.allCases {
      let key = ProfileRules(name: name, direction: direction)
      profileRules[key] = profile.map {
        compile($0.rules(direction), instead: profileRules[key] ?? [], .profile(name), direction)
      }
    }
  }

  /// Whether there is a profile of this name.
  func hasProfile(_ name: String) -> Bool { profiles[name] != nil }

  // MARK: - Lists

  /// The list of a point that `policies` select.
  func list(_ policies: some Sequence<Int>, at point: PolicyPoint, profiles: [String]) -> PolicyList? {
    let applicable = policies.compactMap { entries[$0] }.filter { applies($0.policy, at: point) }
    let byTier = Dictionary(grouping: applicable, by: \.policy.tier)
    let tiers = byTier.keys.sorted(by: precedes).map { tier in
      PolicyList.TierPart(tier: tier, policies: (byTier[tier] ?? []).sorted(by: Self.precedes).map(\.number))
    }
    guard point.ending == .profiles || !tiers.isEmpty else { return nil }
    return PolicyList(
      isEgress: point.direction == .egress, ending: point.ending, tiers: tiers,
      profiles: point.ending == .profiles ? profiles : [])
  }

  private func applies(_ policy: Policy, at point: PolicyPoint) -> Bool {
    if case .host = point, policy.subject.workloadsOnly { return false }
    return !policy.isStaged && policy.directions.contains(point.direction) && point.stages.contains(policy.stage)
  }

  private static func precedes(_ left: Entry, _ right: Entry) -> Bool {
    let (leftOrder, rightOrder) = (left.policy.order ?? .infinity, right.policy.order ?? .infinity)
    return leftOrder == rightOrder ? left.policy.name < right.policy.name : leftOrder < rightOrder
  }

  /// The rules of a list.
  func rules(_ list: PolicyList) -> [ListedRule] {
    let direction: PolicyDirection = list.isEgress ? .egress : .ingress
    var result: [ListedRule] = []
    for (index, part) in list.tiers.enumerated() {
      let policies = part.policies.compactMap { entries[$0] }
      for policy in policies {
        for rule in policy.rules[direction] ?? [] { result.append(ListedRule(rule: rule, tier: index)) }
      }
      guard list.ending != .open, tier(part.tier).end == .deny else { continue }
      let end = tierEnd(part.tier, direction, rejects: policies.contains { $0.policy.rejects })
      if let end { result.append(ListedRule(rule: end, tier: index)) }
    }
    for profile in list.profiles {
      for rule in profileRules[ProfileRules(name: profile, direction: direction)] ?? [] {
        result.append(ListedRule(rule: rule, tier: list.tiers.count))
      }
    }
    return result
  }
}
