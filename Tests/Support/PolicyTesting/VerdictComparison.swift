import BPF
import MartletModel
import MartletPolicy

/// The tables' verdict where it is not the objects'.
public struct VerdictMismatch: Error, CustomStringConvertible {
  /// Where policy was asked.
  public let point: PolicyPoint
  /// About what.
  public let packet: PolicyPacket
  /// What the objects say.
  public let expected: PolicyVerdict<RuleName>
  /// What the tables say. `nil` names a rule whose id has no name.
  public let actual: PolicyVerdict<RuleName?>

  /// Point, packet and both verdicts.
  public var description: String { "\(point)\n  \(packet)\n  expected \(expected)\n  got      \(actual)" }
}

extension PolicyTable {
  /// Asks the tables and an oracle of the same state, which is about this table's node, about `packet` at `point`.
  ///
  /// Returns the difference, if there is one.
  public func mismatch(
    at point: PolicyPoint, on packet: PolicyPacket, _ evaluator: PolicyEvaluator, _ oracle: PolicyOracle
  ) throws -> VerdictMismatch? {
    let expected = isHere(point, oracle.state) ? oracle.verdict(at: point, on: packet) : PolicyVerdict(.next)
    let ids = try evaluator.verdict(of: setID(of: point), on: packet)
    let actual = try ids.map { try evaluator.name(of: $0) }
    guard actual != expected.map({ $0 }) else { return nil }
    return VerdictMismatch(point: point, packet: packet, expected: expected, actual: actual)
  }

  private func isHere(_ point: PolicyPoint, _ state: ClusterState) -> Bool {
    switch point {
    case .workload(let name, _): state.workloads[name]?.node == nodeName
    case .host(let name, _): state.hostEndpoints[name]?.node == nodeName
    }
  }
}

/// The smallest state that can be had from `state` by leaving things out and that still `fails`.
public func shrink(_ state: ClusterState, while fails: (ClusterState) -> Bool) -> ClusterState {
  var state = state
  var isSmaller = true
  while isSmaller {
    isSmaller = false
    for candidate in smaller(state) where fails(candidate) {
      state = candidate
      isSmaller = true
      break
    }
  }
  return state
}

/// States with one thing less.
private func smaller(_ state: ClusterState) -> [ClusterState] {
  let objects = ClusterState().changes(to: state)
  let withoutOne = objects.map { change in
    var copy = state
    copy.apply(.removed(change.key))
    return copy
  }
  let withSimpler = objects.flatMap { change -> [ClusterState] in
    guard case .set(let resource) = change else { return [] }
    return simpler(resource).map { simple in
      var copy = state
      copy.apply(.set(simple))
      return copy
    }
  }
  return withoutOne + withSimpler
}

private func simpler(_ resource: Resource) -> [Resource] {
  switch resource {
  case .policy(let policy):
    return [\Policy.ingress, \Policy.egress].flatMap { list in
      simpler(policy[keyPath: list]).map { rules in
        var copy = policy
        copy[keyPath: list] = rules
        return .policy(copy)
      }
    }
  case .networkSet(let set):
    return set.prefixes.indices.map { index in
      var copy = set
      copy.prefixes.remove(at: index)
      return .networkSet(copy)
    }
  case .workload(let workload):
    return workload.labels.keys.map { key in
      var copy = workload
      copy.labels[key] = nil
      return .workload(copy)
    }
  default: return []
  }
}

/// Lists with one rule less, or one that asks for less.
private func simpler(_ rules: [PolicyRule]) -> [[PolicyRule]] {
  rules.indices.flatMap { index -> [[PolicyRule]] in
    var without = rules
    without.remove(at: index)
    let simplerRules = simpler(rules[index]).map { rule in
      var copy = rules
      copy[index] = rule
      return copy
    }
    return [without] + simplerRules
  }
}

private func simpler(_ rule: PolicyRule) -> [PolicyRule] {
  let edits: [(inout PolicyRule) -> Void] = [
    { $0.source = EntityMatch() }, { $0.destination = EntityMatch() }, { $0.protocol = nil }, { $0.notProtocol = nil },
    { $0.icmp = nil }, { $0.notICMP = nil }, { $0.family = nil }, { $0.source.selector = nil },
    { $0.destination.selector = nil }, { $0.source.notSelector = nil }, { $0.destination.notSelector = nil },
    { $0.source.prefixes = nil }, { $0.destination.prefixes = nil }, { $0.source.notPrefixes = nil },
    { $0.destination.notPrefixes = nil }, { $0.source.ports = nil }, { $0.destination.ports = nil },
    { $0.source.notPorts = nil }, { $0.destination.notPorts = nil },
  ]
  return edits.map { edit in
    var copy = rule
    edit(&copy)
    return copy
  }
  .filter { $0 != rule }
}
