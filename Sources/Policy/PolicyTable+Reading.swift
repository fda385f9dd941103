import CBPF
import Model

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

  /// How full the tables are.
  public var usage: Usage {
    Usage(
      freeWords: context.words.freeCount, freeHeaders: sets.free.headers, freeSets: sets.free.sets,
      identities: identities.count, prefixes: prefixes.count, tuples: tuples.count)
  }
}
