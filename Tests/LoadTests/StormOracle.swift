import MartletModel
import MartletPolicy

/// What the objects say, of all that a packet meets on its way.
struct StormOracle {
  private let oracle: PolicyOracle
  private let host: String?

  init(_ state: ClusterState) {
    oracle = PolicyOracle(state)
    // Those of a random cluster are all for every interface, so that the first by name counts.
    host = state.hostEndpoints.values.filter { $0.node == StormNode.name }.map(\.name).min()
  }

  func decision(on question: StormQuestion) -> PolicyDecision {
    var isHostAdmitted = false
    for stage in stages(of: question) {
      guard let point = point(stage, question), !(stage.isHosts && isHostAdmitted) else { continue }
      let decision = oracle.verdict(at: point, on: question.packet).decision
      switch decision {
      case .deny, .reject: return decision
      case .next: continue
      case .allow where stage == .untracked && question.receiver == nil: return .allow
      case .allow: if stage == .untracked || stage == .beforeNAT { isHostAdmitted = true }
      }
    }
    return .allow
  }

  private enum Stage {
    case untracked, beforeNAT, forwardIngress, toHost, podEgress, podIngress, forwardEgress

    var isHosts: Bool { self != .podEgress && self != .podIngress }
  }

  private func stages(of question: StormQuestion) -> [Stage] {
    switch (question.sender, question.receiver) {
    case (nil, nil): [.untracked, .beforeNAT, .toHost]
    case (nil, _): [.untracked, .beforeNAT, .forwardIngress, .podIngress, .forwardEgress]
    case (_, nil): [.beforeNAT, .podEgress, .toHost]
    default: [.beforeNAT, .forwardIngress, .podEgress, .podIngress, .forwardEgress]
    }
  }

  private func point(_ stage: Stage, _ question: StormQuestion) -> PolicyPoint? {
    switch stage {
    case .podEgress: question.sender.map { .workload($0, .egress) }
    case .podIngress: question.receiver.map { .workload($0, .ingress) }
    case .untracked: host.map { .host(name: $0, .untrackedIngress) }
    case .beforeNAT: host.map { .host(name: $0, .beforeNAT) }
    case .forwardIngress: host.map { .host(name: $0, .forwardIngress) }
    case .forwardEgress: host.map { .host(name: $0, .forwardEgress) }
    case .toHost: host.map { .host(name: $0, .ingress) }
    }
  }
}
