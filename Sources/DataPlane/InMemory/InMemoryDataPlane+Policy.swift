import BPF
import CBPF
import Model
import Networking
import Policy

/// Judging a flow, as in `CBPF/datapath/workload_policy.h`.
extension InMemoryDataPlane {
  /// What policies say of a flow.
  struct Admission {
    var judgements: [PolicyJudgement] = []
    /// Why the flow is not admitted.
    var denial: DropReason?
    /// Whether its sender is told so.
    var isAnswered = false
  }

  /// Asks the policies at the ends of a flow whose opener, the pod in `slot` or 0, sends as `opener`.
  func admit(_ opener: FlowTuple, _ flow: ModelledFlow, opener slot: UInt32) -> Admission {
    var admission = Admission()
    if slot != 0 && slot == flow.endpoint { return admission }
    let packet = PolicyPacket(opener, translated: flow.translated)
    if slot != 0 {
      judge(packet, .egress, slot, .policyEgress, &admission)
      if admission.denial == nil && flow.isToHost && settings.workload_to_host != WORKLOAD_TO_HOST_ACCEPT.rawValue {
        admission.denial = .workloadToHost
      }
    }
    guard admission.denial == nil, flow.endpoint != 0, !flow.isFromHost else { return admission }
    judge(packet, .ingress, flow.endpoint, .policyIngress, &admission)
    return admission
  }

  private func judge(
    _ packet: PolicyPacket, _ direction: PolicyDirection, _ slot: UInt32, _ reason: DropReason,
    _ admission: inout Admission
  ) {
    let sets = policy.maps.endpointPolicies.read(Int(slot))
    let verdict = evaluate(direction == .ingress ? sets.ingress : sets.egress, packet)
    if let pod = pod(inSlot: slot) {
      admission.judgements.append(PolicyJudgement(at: .workload(pod, direction), on: packet, verdict))
    }
    guard verdict.decision != .allow else { return }
    admission.denial = reason
    admission.isAnswered = verdict.decision == .reject
  }

  /// Nobody injects faults into tables in memory, so none can fail.
  private func evaluate(_ set: UInt32, _ packet: PolicyPacket) -> PolicyVerdict<RuleName> {
    do throws(BPFError) {
      let evaluator = PolicyEvaluator(policy.maps.sets)
      let verdict = try evaluator.verdict(of: set, on: packet)
      let rule = try verdict.rule.flatMap { id throws(BPFError) in try evaluator.name(of: id) }
      var logged: [RuleName] = []
      for id in verdict.logged { if let name = try evaluator.name(of: id) { logged.append(name) } }
      return PolicyVerdict(verdict.decision, by: rule, logged: logged)
    } catch {
      preconditionFailure("a table in memory failed: \(error)")
    }
  }

  // MARK: - Running flows

  /// Judges the flow under `tuple` anew if policies have changed since, in the direction that it was opened in. A flow
  /// that they deny now is forgotten.
  func judgeAgain(_ tuple: FlowTuple) -> Admission? {
    guard let flow = flows[tuple], flow.generation != generation, let other = flows[flow.partner] else { return nil }
    let admission =
      flow.isOpener
      ? admit(tuple, flow, opener: other.endpoint) : admit(flow.partner, other, opener: flow.endpoint)
    if admission.denial == nil {
      flows.stamp(tuple, generation: generation)
    } else {
      flows.remove(tuple)
    }
    return admission
  }
}

extension PolicyPacket {
  /// The packet that opens a flow. Of ICMP, echoes alone have flows.
  fileprivate init(_ opener: FlowTuple, translated: FlowTuple) {
    switch opener.protocol {
    case .icmp: self.init(from: opener.source, to: translated.destination, icmpType: 8)
    case .icmpv6: self.init(from: opener.source, to: translated.destination, icmpType: 128)
    default:
      self.init(
        from: opener.source, to: translated.destination, opener.protocol, sourcePort: opener.sourcePort,
        destinationPort: translated.destinationPort)
    }
  }
}
