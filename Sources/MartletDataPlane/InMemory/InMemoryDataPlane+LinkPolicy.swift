import CBPF
import MartletNetworking
import MartletPolicy

/// Policy for what does not leave the link, as in `CBPF/datapath/link_policy.h`.
extension InMemoryDataPlane {
  /// Whether the packet may begin a flow of the host's, because the host has a policy at the interface.
  func isLinkFlow(_ arrival: Arrival) -> Bool {
    (arrival.origin == .network || arrival.origin == .host) && arrival.tuple.destination.isLinkLocal
      && policy.hostEndpoint(at: ModelledFlow.networkInterface) != nil
  }

  /// Judges a packet that stays on the link by itself, and leaves it to the stack.
  func passOnLink(_ arrival: Arrival) -> PacketFate {
    var admission = Admission()
    let packet = PolicyPacket(single: arrival.packet)
    switch arrival.origin {
    case .pod(let name): judgeOnPodLink(packet, slot(of: name) ?? 0, arrival, &admission)
    case .network, .host: judgeOnNetworkLink(packet, isEgress: arrival.origin == .host, &admission)
    case .tunnel: break
    }
    // Nobody answers what was sent to all.
    admission.isAnswered = false
    if let fate = denied(arrival, admission) { return fate }
    var fate = PacketFate(.stack)
    fate.judgements = admission.judgements
    return fate
  }

  /// What a pod sends on its link reaches the host alone. A pod has link-local addresses that nobody has told us.
  private func judgeOnPodLink(
    _ packet: PolicyPacket, _ slot: UInt32, _ arrival: Arrival, _ admission: inout Admission
  ) {
    let source = arrival.tuple.source
    guard source.isLinkLocal || source.isUnspecified || isSourceValid(arrival) else {
      admission.denial = .sourceAddress
      return
    }
    judge(packet, .egress, slot, .policyEgress, &admission)
    var flow = ModelledFlow(translated: arrival.tuple, entry: arrival.input, input: arrival.input)
    flow.isToHost = true
    judgeWorkloadToHost(packet, flow, &admission)
  }

  /// What the host says of what is sent to all on a link, packet by packet.
  private func judgeOnNetworkLink(_ packet: PolicyPacket, isEgress: Bool, _ admission: inout Admission) {
    let interface = ModelledFlow.networkInterface
    var flow = ModelledFlow(
      translated: FlowTuple(
        source: packet.source, destination: packet.destination, sourcePort: packet.sourcePort,
        destinationPort: packet.destinationPort, protocol: packet.protocol), input: interface)
    if isEgress {
      (flow.exit, flow.isFromHost) = (interface, true)
      judgeExit(packet, flow, &admission)
    } else {
      (flow.entry, flow.isToHost) = (interface, true)
      judgeEntry(packet, flow, &admission)
    }
  }
}

extension InMemoryDataPlane.Arrival {
  /// Whether it is a question that whoever has the address would answer himself.
  var isPing: Bool { if case .icmp = packet.transport { true } else { false } }
}
