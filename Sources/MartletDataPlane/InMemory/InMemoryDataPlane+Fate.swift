import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// The road of every packet, as in `CBPF/datapath/tc.bpf.c` and `forward.h`.
extension InMemoryDataPlane {
  /// What would happen to `packet`, which is first seen at `origin`. Its flow is remembered: the next packet of it, and
  /// replies, are treated as such.
  ///
  /// - Throws: ``PacketQuestionError`` if no such packet can be, or `origin` is not known.
  public func fate(
    of packet: PacketDescription, from origin: PacketOrigin
  ) throws(PacketQuestionError) -> PacketFate {
    var arrival = try arrival(of: packet, from: origin)
    if isReturned(arrival) { arrival.tuple.isReturned = true }
    let tuple = arrival.tuple
    if let verdict = beforeFlows(arrival) { return PacketFate(verdict) }
    if let fate = beforeTracking(arrival) { return fate }
    if packet.isICMPError { return PacketFate(unrelatedError(arrival)) }
    if let flow = flows[tuple], flow.isByStack ? arrival.isFromPod : flow.input != arrival.input {
      guard isSourceValid(arrival) else { return PacketFate(.dropped(.sourceAddress)) }
      // The sender has moved.
      flows.remove(tuple)
    }
    if isStale(tuple) { flows.remove(tuple) }
    let admission = judgeAgain(tuple)
    if let admission, let fate = denied(arrival, admission) { return fate }
    if flows[tuple] != nil, flows.advance(packet, under: tuple), let flow = flows[tuple] {
      var fate = PacketFate(forward(arrival, by: flow), by: flow)
      fate.judgements = admission?.judgements ?? []
      return fate
    }
    return begin(arrival)
  }

  /// Whether a pod of this node has sent the packet to the node that has sent it back.
  private func isReturned(_ arrival: Arrival) -> Bool {
    let asked = tables.address(arrival.tuple.destination)
    return arrival.isThroughTunnel && flows[arrival.tuple]?.leavesAsItIs(arrival.tuple) == true
      && asked.kind == ADDRESS_OTHER_NODE.rawValue && asked.index == arrival.tunnelSender
  }

  /// An ICMP error, which is about no flow that is known: those that are have no description.
  private func unrelatedError(_ arrival: Arrival) -> PacketFate.Verdict {
    guard arrival.isThroughTunnel || isSourceValid(arrival) else { return .dropped(.sourceAddress) }
    let isNobodys =
      arrival.isFromPod || arrival.isThroughTunnel || tables.kind(arrival.tuple.destination) == ADDRESS_LOCAL_POD
      || isHostJudged(arrival)
    return isNobodys ? .dropped(.invalidICMP) : .stack
  }

  /// Whether the services have ended what a UDP flow rests on, so that it must be decided anew.
  private func isStale(_ tuple: FlowTuple) -> Bool {
    guard tuple.protocol == .udp, let flow = flows[tuple], flow.isOpener else { return false }
    if tables.isRevoked(revocation_key.grounds(tuple, flow), since: flow.serviceGeneration) { return true }
    flows.stamp(tuple, serviceGeneration: settings.service_generation)
    return false
  }

  /// A packet and where it is seen, in the terms of the tables.
  struct Arrival {
    let packet: PacketDescription
    var tuple: FlowTuple
    let origin: PacketOrigin
    /// As ``ModelledFlow/input``.
    let input: InterfaceIndex
    /// The number of the node that has sent it through the tunnel; 0: none.
    let tunnelSender: UInt32

    var family: AddressFamily { tuple.destination.family }
    var isThroughTunnel: Bool { if case .tunnel = origin { true } else { false } }
    var isFromPod: Bool { if case .pod = origin { true } else { false } }
  }

  private func arrival(
    of packet: PacketDescription, from origin: PacketOrigin
  ) throws(PacketQuestionError) -> Arrival {
    guard packet.source.family == packet.destination.family else {
      throw PacketQuestionError(
        "no packet goes from \(packet.source) to \(packet.destination): give both addresses of one family")
    }
    var (input, sender) = (ModelledFlow.network, UInt32(0))
    switch origin {
    case .pod(let name):
      guard let slot = slot(of: name), let interface = interface(inSlot: slot) else {
        throw PacketQuestionError(
          "pod \(name) is not one of node \(options.configuration.nodeName): correct the name, or apply a state that has it"
        )
      }
      input = interface
    case .tunnel(let name): sender = tunnelNumber(name) ?? 0
    case .host: input = ModelledFlow.host
    case .network: break
    }
    return Arrival(packet: packet, tuple: packet.tuple, origin: origin, input: input, tunnelSender: sender)
  }

  private func beforeFlows(_ arrival: Arrival) -> PacketFate.Verdict? {
    guard arrival.packet.isWellFormed else { return .dropped(.malformed) }
    if arrival.origin == .network, arrival.tuple.protocol == .udp, arrival.tuple.destinationPort == Tunnel.port,
      tables.kind(arrival.tuple.destination) == ADDRESS_THIS_NODE
    {
      return .stack
    }
    if arrival.isThroughTunnel && arrival.tunnelSender == 0 { return .dropped(.tunnelSource) }
    // What the host says to itself by loopback addresses is nobody else's business, but for node ports.
    if arrival.origin == .host && arrival.tuple.source.isLoopback && !isKnown(arrival.tuple) { return .stack }
    if case .icmp(.linkControl) = arrival.packet.transport, arrival.family == .ipv6 { return .stack }
    return nil
  }

  /// Whether a packet between loopback addresses is for a node port.
  private func isKnown(_ tuple: FlowTuple) -> Bool {
    options.configuration.servesLoopback && (tables.frontend(tuple) != nil || flows[tuple] != nil)
  }

  /// What becomes of a packet whose flow policies do not admit; `nil` if they do.
  func denied(_ arrival: Arrival, _ admission: Admission) -> PacketFate? {
    guard let denial = admission.denial else { return nil }
    var fate = PacketFate(admission.isAnswered ? arrival.packet.refusal : .dropped(denial))
    fate.judgements = admission.judgements
    return fate
  }

  /// Sends a packet of a known flow on its way.
  func forward(_ arrival: Arrival, by flow: ModelledFlow) -> PacketFate.Verdict {
    if flow.isByStack { return .stack }
    if flow.isToHost { return .host }
    if arrival.packet.timeToLive <= 1 && !arrival.origin.isStack { return .dropped(.timeToLive) }
    if flow.endpoint != 0 && flow.tunnelNode == 0 {
      guard interface(inSlot: flow.endpoint) != nil, let pod = pod(inSlot: flow.endpoint) else {
        return .dropped(.noEndpoint)
      }
      return .pod(pod)
    }
    guard flow.tunnelNode != 0 else { return .network }
    guard let node = tables.node(flow.tunnelNode), node.mtu != 0, let name = nodeName(flow.tunnelNode) else {
      return .dropped(.noRoute)
    }
    return .tunnel(name)
  }
}

extension PacketFate {
  init(_ verdict: Verdict, by flow: ModelledFlow) {
    self.init(verdict)
    if case .dropped = verdict { return }
    forwarded = flow.translated
  }
}

extension PacketDescription {
  /// Whether it is a message that quotes the packet it is about.
  var isICMPError: Bool {
    guard case .icmp(.other(let type)) = transport else { return false }
    return source.isIPv4 ? [3, 11, 12].contains(type) : (1...4).contains(type)
  }

  /// Whether the datapath's parser takes it: flag combinations that no stack sends, and SCTP's port 0, are refused.
  var isWellFormed: Bool {
    switch transport {
    case .tcp(_, _, let flags):
      switch flags.intersection([.syn, .fin, .rst]) {
      case .syn, .rst: true
      case .fin, []: flags.contains(.ack)
      default: false
      }
    case .sctp(let source, let destination, _): source != 0 && destination != 0
    case .icmp, .udp, .other: true
    }
  }
}
