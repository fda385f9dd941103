import MartletModel

/// How a policy is read: what is wrong with it makes it stricter and never laxer.
///
/// - A rule that is not understood matches nothing if it would let packets through. If it would deny them or pass them
///   to the next tier, or if nobody knows what it would do, it denies everything of its direction.
/// - If anything else is not understood, no rule lets anything through: those that allow match nothing, and those that
///   pass deny. Directions that are not understood are both.
/// - Of whom it applies to, a condition that is not understood is left out: the policy applies to more, but never beyond
///   its namespace. A policy of the whole cluster of which no condition was understood applies to nobody: one mistake
///   must not cut off a cluster.
///
/// ``Manifest`` puts the first of that in force at once, and the others only where there is no earlier version without
/// such mistakes: of what else a policy says its rules may be understood quite wrongly.
extension SpecReader {
  /// Whom the policy applies to.
  ///
  /// - Parameters:
  ///   - isNamespaced: Whether it applies to workloads of its own namespace alone.
  ///   - isRequired: Whether the fields have to be there.
  ///   - conditions: The fields, all of which have to hold, and how to read them.
  mutating func subject(
    isNamespaced: Bool, isRequired: Bool = false, _ conditions: [(field: String, decoder: ValueDecoder<Selector>)]
  ) -> Selector {
    var understood: [Selector] = isNamespaced ? [.equals(PolicyLabel.namespace, metadata.namespace)] : []
    var isComplete = true
    for (field, decoder) in conditions {
      var selector: Selector?
      var isUnderstood = false
      check { (spec) throws(FieldError) in
        selector = isRequired ? try spec.required(field, decoder) : try spec.nonempty(field, decoder)
        isUnderstood = true
      }
      if let selector { understood.append(selector) }
      isComplete = isComplete && isUnderstood
    }
    if understood.isEmpty, !isComplete { return .none }
    return Selector.and(understood.filter { $0 != .all }).canonical
  }

  /// The directions that the field called `name` lists, each once unless it `mayRepeat` them; `standard` if it lists none,
  /// both if it is not understood.
  mutating func directions(
    _ name: String, mayRepeat: Bool = false, default standard: Set<PolicyDirection>
  ) -> Set<PolicyDirection> {
    var directions = Set(PolicyDirection.allCases)
    check { (spec) throws(FieldError) in
      let listed = try spec.list(name, of: ValueDecoder<PolicyDirection>.choice)
      if !mayRepeat, let list = spec[name], Set(listed).count < listed.count {
        throw FieldError(list, "names a direction twice").inMember(name)
      }
      directions = listed.isEmpty ? standard : Set(listed)
    }
    return directions
  }

  /// Whether what the policy denies is answered, by its annotation.
  mutating func rejects() -> Bool {
    let answer: DenyAnswer? = annotation(WellKnownName.deny, .choice)
    return answer == .reject
  }

  private enum DenyAnswer: String, CaseIterable {
    case drop
    case reject
  }

  /// The rules of a direction.
  ///
  /// - Parameters:
  ///   - limit: How many there may be.
  ///   - actions: What the words for actions mean; `nil`: there are none, and every rule allows.
  ///   - decode: The rules that one written rule stands for. It may note problems itself.
  mutating func rules(
    _ direction: PolicyDirection, limit: Int = .max, actions: [String: PolicyRule.Action]?,
    _ decode: (ManifestValue, inout FieldProblems) throws(FieldError) -> [PolicyRule]
  ) -> [PolicyRule] {
    let name = direction.field
    var isList = false
    check { (spec) throws(FieldError) in
      _ = try spec.list(name, of: .any)
      isList = true
      try spec.limit(name, to: limit)
    }
    guard isList else { return [.closed(actions == nil ? .allow : nil)] }
    let rules: [[PolicyRule]?] = elements(name) { (rule, problems) throws(FieldError) in
      do throws(FieldError) {
        return try decode(rule, &problems)
      } catch {
        problems.note(error)
        return [.closed(actions.map { actions in rule.action(actions) } ?? .allow)]
      }
    }
    return rules.flatMap { $0 ?? [] }
  }

  /// The policy as it may be put in force: without rules of directions that it does not have, and if anything but a
  /// rule was not understood, without any that lets packets through.
  func closed(_ policy: Policy) -> Policy {
    var policy = policy
    if !policy.directions.contains(.ingress) { policy.ingress = [] }
    if !policy.directions.contains(.egress) { policy.egress = [] }
    return isClear ? policy : policy.withoutPassage
  }
}

extension Policy {
  /// This policy where it must not let anything through.
  var withoutPassage: Policy {
    var policy = self
    policy.ingress = ingress.map(\.withoutPassage)
    policy.egress = egress.map(\.withoutPassage)
    return policy
  }
}

extension ManifestValue {
  /// What a rule does; `nil` if that cannot be told.
  fileprivate func action(_ actions: [String: PolicyRule.Action]) -> PolicyRule.Action? {
    guard case .string(let word) = self["action"]?.content else { return nil }
    return actions[word]
  }
}

extension ValueDecoder where Value == PolicyRule.Action {
  /// One of the words for actions.
  static func action(_ actions: [String: PolicyRule.Action]) -> Self {
    Self(text: "one of \(actions.keys.sorted().joined(separator: ", "))") { actions[$0] }
  }
}

extension PolicyDirection {
  /// The name of the field with the rules.
  var field: String { self == .ingress ? "ingress" : "egress" }
}

extension PolicyRule {
  /// What stands for a rule with that action that is not understood; `nil`: not even the action is.
  static func closed(_ action: Action?) -> PolicyRule {
    switch action {
    case .allow: PolicyRule(.allow, matchesNothing: true)
    case .log: PolicyRule(.log, matchesNothing: true)
    case .deny, .pass, nil: PolicyRule(.deny)
    }
  }

  /// This rule where it must not let anything through.
  fileprivate var withoutPassage: PolicyRule {
    switch action {
    case .allow, .pass: .closed(action)
    case .deny, .log: self
    }
  }
}
