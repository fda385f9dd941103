/// What becomes of a packet at a ``PolicyPoint``.
public enum PolicyDecision: String, Hashable, Sendable {
  /// It goes on.
  case allow = "Allow"
  /// It is dropped.
  case deny = "Deny"
  /// It is dropped, and its sender is told.
  case reject = "Reject"
  /// The point says nothing about it: the next stage decides.
  case next = "Next"
}

/// What policy says to a packet, and by which rule.
///
/// ``PolicyEvaluator`` knows rules by their ids, ``PolicyOracle`` by their names.
public struct PolicyVerdict<Rule: Hashable & Sendable>: Hashable, Sendable {
  /// What becomes of the packet.
  public var decision: PolicyDecision
  /// The rule that decided; `nil` if none matched.
  public var rule: Rule?
  /// The rules that recorded the packet before that, in order.
  public var logged: [Rule]

  /// This verdict.
  public init(_ decision: PolicyDecision, by rule: Rule? = nil, logged: [Rule] = []) {
    self.decision = decision
    self.rule = rule
    self.logged = logged
  }

  /// The verdict with other names for its rules.
  public func map<Other: Hashable & Sendable>(_ transform: (Rule) throws -> Other) rethrows -> PolicyVerdict<Other> {
    try PolicyVerdict<Other>(decision, by: rule.map(transform), logged: logged.map(transform))
  }
}
