import BPF
import CBPF
import MartletModel

/// Something that an update of the policy tables could not do. Everything else was done.
public struct PolicyProblem: Error, Equatable, Sendable {
  /// What stood in the way.
  public enum Reason: Equatable, Sendable {
    /// A map has no room. What is concerned is denied everything until it has.
    case noRoom(map: String, needed: Int, free: Int)
    /// The rules that apply to one endpoint in one direction are too many. All is denied there.
    case tooManyRules(Int)
    /// A map refused a write, which will be tried again. Endpoints whose rules depend on it are denied everything.
    case map(BPFError)
    /// A policy names a tier that does not exist. It is evaluated after all others, and denies at its end.
    case unknownTier(String)
  }

  /// The endpoint, policy, address or prefix concerned.
  public let subject: String
  /// What stood in the way.
  public let reason: Reason

  init(_ subject: some CustomStringConvertible, _ reason: Reason) {
    self.subject = subject.description
    self.reason = reason
  }
}

extension PolicyProblem: CustomStringConvertible {
  /// One line: the object, what is wrong with it, and the remedy.
  public var description: String { "\(subject): \(reason)" }
}

extension PolicyProblem.Reason: CustomStringConvertible {
  /// What is wrong, and the remedy.
  public var description: String {
    switch self {
    case .noRoom(let map, let needed, let free):
      "map \(map) has no room for \(needed) entries (\(free) are free): all is denied until it has; enlarge the map"
    case .tooManyRules(let count):
      "\(count) rules apply in one direction, and \(BitVector.capacity) can: all is denied; split the endpoint's policies"
    case .map(let error):
      "\(error); endpoints whose rules depend on it are denied everything until it succeeds"
    case .unknownTier(let tier):
      "its tier \(tier) does not exist: it is evaluated last, and denies what it does not match; create the tier"
    }
  }
}
