import CBPF
import MartletModel
import MartletNetworking

/// A rule with its id. The same in every set, and for as long as the rule stays the same; its place in its policy may
/// change.
final class CompiledRule {
  let id: UInt32
  let rule: PolicyRule
  /// `enum policy_action`.
  let action: UInt32
  var name: RuleName
  /// The sets that have it, and those that had it until just now.
  fileprivate(set) var users = 0
  /// What the rule is in terms of classes, while it has users.
  fileprivate(set) var expansion: RuleExpansion?

  fileprivate init(id: UInt32, rule: PolicyRule, action: UInt32, name: RuleName) {
    self.id = id
    self.rule = rule
    self.action = action
    self.name = name
  }
}

/// A rule in terms of classes: a bit for each alternative.
final class RuleExpansion {
  let rule: CompiledRule
  let families: Set<AddressFamily>
  /// By alternative, then by dimension. `nil`: every class will do.
  let bits: [[ConditionNumber?]]
  fileprivate var users = 0

  fileprivate init(_ rule: CompiledRule, families: Set<AddressFamily>, bits: [[ConditionNumber?]]) {
    self.rule = rule
    self.families = families
    self.bits = bits
  }
}

/// All rules that some policy set has, the classes that they need, and map `rule_names`.
final class RuleBook {
  private let spaces: ClassSpaces
  private let interests: Interests
  private let names: RuleNameTable
  private var lastID: UInt32 = 0
  /// Rules with users by the pattern of network sets that one of their selectors is.
  private var watchers: [Int: [ObjectIdentifier: CompiledRule]] = [:]

  init(spaces: ClassSpaces, interests: Interests, names: RuleNameTable) {
    self.spaces = spaces
    self.interests = interests
    self.names = names
  }

  /// A new rule. `denies`: what a rule that denies does, which is `POLICY_DENY` or `POLICY_REJECT`.
  func rule(_ rule: PolicyRule, _ name: RuleName, denies: policy_action = POLICY_DENY) -> CompiledRule {
    lastID += 1
    return CompiledRule(id: lastID, rule: rule, action: action(rule, name, denies).rawValue, name: name)
  }

  private func action(_ rule: PolicyRule, _ name: RuleName, _ denies: policy_action) -> policy_action {
    switch rule.action {
    case .allow: POLICY_ALLOW
    case .deny: denies
    case .log: POLICY_LOG
    case .pass: if case .profile = name.owner { POLICY_DENY } else { POLICY_PASS }
    }
  }

  /// Gives a rule another place in its policy.
  func rename(_ rule: CompiledRule, _ name: RuleName) {
    guard rule.name != name else { return }
    rule.name = name
    if rule.users > 0 { names.set(rule) }
  }

  // MARK: - Users

  /// What `rule` is in terms of classes, for one more user.
  func retain(_ rule: CompiledRule) -> RuleExpansion {
    rule.users += 1
    if rule.users == 1 {
      watch(rule)
      names.set(rule)
    }
    let expansion = rule.expansion ?? expand(rule)
    rule.expansion = expansion
    expansion.users += 1
    return expansion
  }

  /// Counts one more user of an expansion.
  func retain(_ expansion: RuleExpansion) {
    expansion.users += 1
    expansion.rule.users += 1
  }

  /// Takes back a user's expansion.
  func release(_ expansion: RuleExpansion) {
    expansion.users -= 1
    expansion.rule.users -= 1
    if expansion.users == 0 {
      forget(expansion)
      if expansion.rule.expansion === expansion { expansion.rule.expansion = nil }
    }
    if expansion.rule.users == 0 {
      unwatch(expansion.rule)
      names.remove(expansion.rule)
    }
  }

  /// Rules whose alternatives may be others, as one of these patterns matches network sets now, or no longer.
  func outdated(_ patterns: [Int]) -> [CompiledRule] {
    var rules: [ObjectIdentifier: CompiledRule] = [:]
    for pattern in patterns { rules.merge(watchers[pattern] ?? [:]) { rule, _ in rule } }
    return rules.values.sorted { $0.id < $1.id }
  }

  /// Lets the next user of `rule` get what the rule is now. Users of the expansion before keep theirs.
  func outdate(_ rule: CompiledRule) { rule.expansion = nil }

  private func expand(_ rule: CompiledRule) -> RuleExpansion {
    let families = RuleExpander.families(rule.rule)
    guard !families.isEmpty else { return RuleExpansion(rule, families: [], bits: []) }
    let expander = RuleExpander { [spaces] selector in
      let pattern = Pattern.selector(.networkSet, selector)
      return spaces[.prefix].index.number(of: pattern)
        .map { !spaces[.prefix].index.attributes(matching: $0).isEmpty } ?? false
    }
    let bits = expander.alternatives(rule.rule).map { alternative in
      Dimension.allCases.map { dimension in alternative[dimension].map { retain($0, dimension.space) } }
    }
    return RuleExpansion(rule, families: families, bits: bits)
  }

  private func retain(_ condition: Condition, _ kind: SpaceKind) -> ConditionNumber {
    var newPatterns: [Pattern] = []
    let number = spaces[kind].retain(condition, newPatterns: &newPatterns)
    for pattern in newPatterns { interests.begin(pattern, in: kind) }
    return number
  }

  private func forget(_ expansion: RuleExpansion) {
    for bit in expansion.bits {
      for dimension in Dimension.allCases {
        guard let condition = bit[dimension.rawValue] else { continue }
        for pattern in spaces[dimension].release(condition: condition) { interests.end(pattern, in: dimension.space) }
      }
    }
  }

  // MARK: - Selectors

  private func watch(_ rule: CompiledRule) {
    for pattern in Self.networkSetPatterns(rule.rule) {
      watchers[spaces[.prefix].retain(pattern).number, default: [:]][ObjectIdentifier(rule)] = rule
    }
  }

  private func unwatch(_ rule: CompiledRule) {
    for pattern in Self.networkSetPatterns(rule.rule) {
      guard let number = spaces[.prefix].index.number(of: pattern) else { continue }
      watchers[number]?[ObjectIdentifier(rule)] = nil
      if watchers[number]?.isEmpty == true { watchers[number] = nil }
      _ = spaces[.prefix].release(pattern: number)
    }
  }

  private static func networkSetPatterns(_ rule: PolicyRule) -> Set<Pattern> {
    Set([rule.source.selector, rule.destination.selector].compactMap(\.self).map { .selector(.networkSet, $0) })
  }
}
