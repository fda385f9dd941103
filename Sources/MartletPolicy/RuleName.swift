import CBPF
import MartletModel
import TableSupport

/// What people call a rule. Its id stands for this, for as long as the rule stays the same.
public struct RuleName: Hashable, Sendable {
  /// What a rule is part of.
  public enum Owner: Hashable, Sendable {
    /// A policy in a tier.
    case policy(PolicyName, tier: String)
    /// The end of a tier, which denies what the policies that apply have not matched.
    case tierEnd(String)
    /// A profile.
    case profile(String)
  }

  /// What the rule is part of.
  public var owner: Owner
  /// Which of its two lists of rules.
  public var direction: PolicyDirection
  /// The place in the list, from 0.
  public var index: Int

  /// This name.
  public init(_ owner: Owner, _ direction: PolicyDirection, _ index: Int) {
    self.owner = owner
    self.direction = direction
    self.index = index
  }

  /// What `rule_name.kind` is for a profile.
  static let profileKind = "Profile"
}

extension RuleName: CustomStringConvertible {
  /// `tier default, NetworkPolicy shop/web, ingress rule 0`.
  public var description: String {
    let rule = "\(direction.rawValue.lowercased()) rule \(index)"
    return switch owner {
    case .policy(let name, let tier): "tier \(tier), \(name), \(rule)"
    case .tierEnd(let tier): "end of tier \(tier), \(direction.rawValue.lowercased())"
    case .profile(let name): "profile \(name), \(rule)"
    }
  }
}

// MARK: - Layout

extension RuleName {
  /// The name that an entry of map `rule_names` holds. `nil` if it is of no kind that there is.
  public init?(_ entry: rule_name) {
    let (tier, kind) = (LayoutText.read(entry.tier), LayoutText.read(entry.kind))
    let name = NamespacedName(namespace: LayoutText.read(entry.namespace_name), name: LayoutText.read(entry.name))
    let owner: Owner
    if kind == Self.profileKind {
      owner = .profile(name.name)
    } else if kind.isEmpty {
      owner = .tierEnd(tier)
    } else if let kind = PolicyName.Kind(rawValue: kind) {
      owner = .policy(PolicyName(kind, name), tier: tier)
    } else {
      return nil
    }
    self.init(owner, entry.egress == 1 ? .egress : .ingress, Int(entry.index))
  }

  /// The entry of map `rule_names`, of a rule that does `action` (`enum policy_action`). Names longer than it has room for are cut off.
  public func entry(action: UInt32) -> rule_name {
    var entry = rule_name()
    switch owner {
    case .policy(let policy, let tier):
      LayoutText.write(tier, into: &entry.tier)
      LayoutText.write(policy.kind.rawValue, into: &entry.kind)
      LayoutText.write(policy.name.namespace, into: &entry.namespace_name)
      LayoutText.write(policy.name.name, into: &entry.name)
    case .tierEnd(let tier):
      LayoutText.write(tier, into: &entry.tier)
    case .profile(let name):
      LayoutText.write(Self.profileKind, into: &entry.kind)
      LayoutText.write(name, into: &entry.name)
    }
    entry.index = UInt32(index)
    entry.egress = direction == .egress ? 1 : 0
    entry.action = UInt8(action)
    return entry
  }
}
