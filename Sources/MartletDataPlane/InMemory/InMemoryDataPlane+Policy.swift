import BPF
import CBPF
import MartletModel
import MartletNetworking
import MartletPolicy

/// Judging a flow, as in `CBPF/datapath/admission.h` and `workload_policy.h`.
extension InMemoryDataPlane {
  /// What policies say of a flow.
  struct Admission {
    var judgements: [PolicyJudgement] = []
    /// Why the flow is not admitted.
    var denial: DropReason?
    /// Whether its sender is told so.
    var isAnswered = false
  }

  /// Asks the policies that a flow meets whose opener, the pod in `slot` or 0, sends as `opener`.
  func admit(_ opener: FlowTuple, _ flow: ModelledFlow, opener slot: UInt32) -> Admission {
    var admission = Admission()
    if slot != 0 && slot == flow.endpoint || flow.endpoint != 0 && flow.isFromHost { return admission }
    let packet = PolicyPacket(opener, translated: flow.judged)
    let isFromPod = slot != 0 || flow.isReturned
    if !isFromPod || !flow.isToHost { judgeEntry(packet, flow, &admission) }
    if isFromPod {
      // What another node has sent back has been judged when it left.
      if !flow.isReturned { judge(packet, .egress, slot, .policyEgress, &admission) }
      if flow.isToHost { judgeWorkloadToHost(packet, flow, &admission) }
    }
    if flow.endpoint != 0 { judge(packet, .ingress, flow.endpoint, .policyIngress, &admission) }
    judgeExit(packet, flow, &admission)
    return admission
  }

  func judge(
    _ packet: PolicyPacket, _ direction: PolicyDirection, _ slot: UInt32, _ reason: DropReason,
    _ admission: inout Admission
  ) {
    guard let pod = pod(inSlot: slot) else { return }
    let sets = policy.maps.endpointPolicies.read(Int(slot))
    let set = direction == .ingress ? sets.ingress : sets.egress
    judge(packet, .workload(pod, direction), set, reason, &admission)
  }

  /// Asks one set, unless the flow is denied already.
  func judge(
    _ packet: PolicyPacket, _ point: PolicyPoint, _ set: UInt32, _ reason: DropReason, _ admission: inout Admission
  ) {
    guard admission.denial == nil else { return }
    // A pod of which nothing is known yet is denied everything; a host has no such stage then.
    let verdict = set == 0 ? PolicyVerdict<RuleName>(.deny) : evaluate(set, packet)
    admission.judgements.append(PolicyJudgement(at: point, on: packet, verdict))
    guard verdict.decision == .deny || verdict.decision == .reject else { return }
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
    let (opener, opening, slot) =
      flow.isOpener ? (tuple, flow, other.endpoint) : (flow.partner, other, flow.endpoint)
    var half = opening
    var admission = admitBeforeNAT(opener, &half)
    if admission.denial == nil {
      let later = admit(opener, half, opener: slot)
      admission = Admission(
        judgements: admission.judgements + later.judgements, denial: later.denial, isAnswered: later.isAnswered)
    }
    if admission.denial == nil {
      flows.stamp(tuple, generation: generation)
    } else {
      flows.remove(tuple)
    }
    return admission
  }
}

extension PolicyPacket {
  /// The packet that opens a flow.
  init(_ opener: FlowTuple, translated: FlowTuple) {
    switch opener.protocol {
    case .icmp:
      self.init(from: opener.source, to: translated.destination, icmpType: opener.icmpQuery == 0 ? 8 : opener.icmpQuery)
    case .icmpv6:
      self.init(
        from: opener.source, to: translated.destination, icmpType: opener.icmpQuery == 0 ? 128 : opener.icmpQuery)
    default:
      self.init(
        from: opener.source, to: translated.destination, opener.protocol, sourcePort: opener.sourcePort,
        destinationPort: translated.destinationPort)
    }
  }
}
