import CBPF
import MartletModel
import MartletNetworking
import MartletPolicy
import Netlink

/// Policies of the host, as in `CBPF/datapath/host_policy.h`, `host_endpoint.h` and `untracked.h`.
extension InMemoryDataPlane {
  private var configuration: Configuration { options.configuration }

  /// What a pod may send to the node itself beyond its own policies.
  func judgeWorkloadToHost(_ packet: PolicyPacket, _ flow: ModelledFlow, _ admission: inout Admission) {
    guard admission.denial == nil else { return }
    switch policy.workloadToHost {
    case WORKLOAD_TO_HOST_ACCEPT: break
    case WORKLOAD_TO_HOST_JUDGE: judgeEntry(packet, flow, &admission)
    default: admission.denial = .workloadToHost
    }
  }

  /// What the host says of a flow that comes in, to the host itself or through it.
  func judgeEntry(_ packet: PolicyPacket, _ flow: ModelledFlow, _ admission: inout Admission) {
    guard !flow.isHostAdmitted, let host = flow.entry.flatMap(policy.hostEndpoint) else { return }
    guard flow.isToHost else {
      return judgeHost(packet, host.name, .forwardIngress, host.sets.forward_ingress, &admission)
    }
    if isFailsafe(packet, egress: false) { return }
    judgeHost(packet, host.name, .ingress, host.sets.ingress, &admission)
  }

  /// Likewise of one that leaves.
  func judgeExit(_ packet: PolicyPacket, _ flow: ModelledFlow, _ admission: inout Admission) {
    guard !flow.isHostAdmitted, let host = flow.exit.flatMap(policy.hostEndpoint) else { return }
    guard flow.isFromHost else {
      return judgeHost(packet, host.name, .forwardEgress, host.sets.forward_egress, &admission)
    }
    if isFailsafe(packet, egress: true) { return }
    judgeHost(packet, host.name, .egress, host.sets.egress, &admission)
  }

  private func judgeHost(
    _ packet: PolicyPacket, _ name: String, _ stage: PolicyPoint.HostStage, _ set: UInt32, _ admission: inout Admission
  ) {
    if set != 0 { judge(packet, .host(name: name, stage), set, .hostPolicy, &admission) }
  }

  // MARK: - Before translation

  /// What the host says before a service is looked up. Where it allows the flow, then or before connections are tracked,
  /// no other policy of the host is asked.
  func admitBeforeNAT(_ opener: FlowTuple, _ flow: inout ModelledFlow) -> Admission {
    var admission = Admission()
    flow.isHostAdmitted = false
    guard let host = endpointBeforeNAT(flow) else { return admission }
    let packet = PolicyPacket(opener, translated: opener)
    if flow.entry == ModelledFlow.networkInterface, !flow.isTunnelled, host.sets.untracked_ingress != 0 {
      var untracked = Admission()
      judgeHost(packet, host.name, .untrackedIngress, host.sets.untracked_ingress, &untracked)
      flow.isHostAdmitted = untracked.judgements.last?.verdict.decision == .allow
      if flow.isHostAdmitted { return admission }
    }
    guard host.sets.before_nat != 0 else { return admission }
    if tables.kind(opener.destination) == ADDRESS_THIS_NODE, isFailsafe(packet, egress: false) { return admission }
    judgeHost(packet, host.name, .beforeNAT, host.sets.before_nat, &admission)
    flow.isHostAdmitted = admission.judgements.last?.verdict.decision == .allow
    return admission
  }

  /// What comes through the tunnel has been seen as it was by the node that sent it.
  private func endpointBeforeNAT(_ flow: ModelledFlow) -> (name: String, sets: host_endpoint)? {
    (flow.isTunnelled ? HostEndpointPlacement.everyInterface : flow.entry).flatMap(policy.hostEndpoint)
  }

  // MARK: - Before tracking

  /// What becomes of a packet before flows are asked for; `nil`: it goes on.
  func beforeTracking(_ arrival: Arrival) -> PacketFate? {
    guard arrival.origin == .network || arrival.origin == .host else { return nil }
    let isEgress = arrival.origin == .host
    // What the host says to its own pods, or to itself, does not leave by an interface to the network.
    if isEgress, tables.kind(arrival.tuple.destination) == ADDRESS_LOCAL_POD || isOnLoopback(arrival) { return nil }
    if !isEgress, options.blockedSources.contains(where: { $0.contains(arrival.tuple.source) }) {
      return PacketFate(.dropped(.blocked))
    }
    guard let host = policy.hostEndpoint(at: ModelledFlow.networkInterface) else { return nil }
    let set = isEgress ? host.sets.untracked_egress : host.sets.untracked_ingress
    let packet = PolicyPacket(single: arrival.packet)
    let isOfHost = isEgress || tables.kind(arrival.tuple.destination) == ADDRESS_THIS_NODE
    if set == 0 { return nil }
    if isOfHost && (isFailsafe(packet, egress: isEgress) || isFailsafe(packet, egress: !isEgress, isReply: true)) {
      return nil
    }
    var admission = Admission()
    judgeHost(packet, host.name, isEgress ? .untrackedEgress : .untrackedIngress, set, &admission)
    if let fate = denied(arrival, admission) { return fate }
    guard isOfHost, admission.judgements.last?.verdict.decision == .allow else { return nil }
    var fate = PacketFate(.stack)
    fate.judgements = admission.judgements
    return fate
  }

  // MARK: - Failsafe ports

  /// Whether the packet, or for a reply the one that it answers, is to a port that no policy closes.
  private func isFailsafe(_ packet: PolicyPacket, egress: Bool, isReply: Bool = false) -> Bool {
    let ports = egress ? configuration.failsafeOutbound : configuration.failsafeInbound
    let port = isReply ? packet.sourcePort : packet.destinationPort
    let peer = egress != isReply ? packet.destination : packet.source
    return ports.contains {
      $0.protocol == packet.protocol && $0.port == port && ($0.prefix?.contains(peer) ?? true)
    }
  }
}

extension InMemoryDataPlane.Arrival {
  /// The interface that it has come in by; `nil`: the host sends it.
  var entry: InterfaceIndex? {
    switch origin {
    case .pod: input
    // The tunnel is no interface of its own.
    case .network, .tunnel: ModelledFlow.networkInterface
    case .host: nil
    }
  }
}

extension PolicyPacket {
  /// A packet as it is on the wire.
  init(single packet: PacketDescription) {
    let tuple = packet.tuple
    switch packet.transport {
    case .icmp(let kind):
      let isIPv4 = packet.source.isIPv4
      let type: UInt8 =
        switch kind {
        case .echoRequest: isIPv4 ? 8 : 128
        case .echoReply: isIPv4 ? 0 : 129
        case .linkControl: 135
        case .other(let type): type
        }
      self.init(from: packet.source, to: packet.destination, icmpType: type)
    default:
      self.init(
        from: packet.source, to: packet.destination, packet.protocol, sourcePort: tuple.sourcePort,
        destinationPort: tuple.destinationPort)
    }
  }
}
