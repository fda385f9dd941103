import CBPF
import MartletModel

extension PolicyTable {
  /// A rule as a policy set has it.
  public struct RuleReading: Hashable, Sendable {
    /// The id, as flows have it.
    public let id: UInt32
    /// What people call it.
    public let name: RuleName
    /// The rule.
    public let rule: PolicyRule
  }

  /// What judges a point.
  public struct PointReading: Hashable, Sendable {
    /// The point.
    public let point: PolicyPoint
    /// The id of its policy set.
    public let set: UInt32
    /// The rules in order of evaluation. `nil`: something has failed, and all is denied.
    public let rules: [RuleReading]?
  }

  /// A policy as a set has it.
  public struct PolicyInSet: Hashable, Sendable {
    /// The policy.
    public let name: PolicyName
    /// The name of its tier.
    public let tier: String
  }

  /// How full the tables are.
  public struct Usage: Hashable, Sendable {
    /// Words of vectors without a use.
    public let freeWords: Int
    /// Slots for versions of sets without a use.
    public let freeHeaders: Int
    /// Ids of sets without a use.
    public let freeSets: Int
    /// Addresses with labels.
    public let identities: Int
    /// Ranges of addresses.
    public let prefixes: Int
    /// Addresses with protocol and port.
    public let tuples: Int
  }

  /// What judges every point that is judged by anything, in no particular order.
  public var pointReadings: [PointReading] { points.all.map(reading) }

  /// What judges `point`.
  public func reading(_ point: PolicyPoint) -> PointReading {
    let set = setID(of: point)
    let rules = sets.rules(of: set)?.map { RuleReading(id: $0.id, name: $0.name, rule: $0.rule) }
    return PointReading(point: point, set: set, rules: rules)
  }

  /// The policies that a set is made of, with or without rules, in order of evaluation. Empty: there is no such set.
  public func policies(of set: UInt32) -> [PolicyInSet] {
    (sets.list(of: set)?.tiers ?? []).flatMap { part in
      part.policies.compactMap { number in
        catalog[number].map { PolicyInSet(name: $0.policy.name, tier: part.tier) }
      }
    }
  }

  /// How full the tables are.
  public var usage: Usage {
    Usage(
      freeWords: context.words.freeCount, freeHeaders: sets.free.headers, freeSets: sets.free.sets,
      identities: identities.count, prefixes: prefixes.count, tuples: tuples.count)
  }
}
