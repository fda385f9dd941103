import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// A flow's first packet, as in `CBPF/datapath/new_flow.h` and `masquerade.h`.
extension InMemoryDataPlane {
  /// Enters the packet's flow and says what becomes of the packet.
  func begin(_ arrival: Arrival) -> PacketFate {
    let isOfLink = isLinkScoped(arrival)
    if isOfLink && !isLinkFlow(arrival) { return passOnLink(arrival) }
    guard isSourceValid(arrival) else { return PacketFate(.dropped(.sourceAddress)) }
    if tables.isAbsentPod(arrival.tuple.destination) { return PacketFate(.dropped(.noEndpoint)) }
    if arrival.isFromPod && isWorkloadTunnel(arrival.tuple) { return PacketFate(.dropped(.workloadTunnel)) }
    let isByStack = isOfLink || isHostBusiness(arrival)
    if isByStack && !isHostJudged(arrival) { return PacketFate(.stack) }
    var translated = arrival.tuple
    translated.isReturned = false
    var flow = ModelledFlow(
      translated: translated, isFromHost: arrival.origin == .host, isByStack: isByStack,
      isTunnelled: arrival.isThroughTunnel, isReturned: arrival.tuple.isReturned, entry: arrival.entry,
      input: arrival.input, serviceGeneration: settings.service_generation, generation: generation)
    let admission = admitBeforeNAT(arrival.tuple, &flow)
    if let fate = denied(arrival, admission) { return fate }
    if isByStack { return enter(arrival, flow, nil, admission.judgements) }
    switch balance(arrival, &flow) {
    case .none: return unserved(arrival).map { PacketFate($0) } ?? enter(arrival, flow, nil, admission.judgements)
    case .chosen(let choice): return enter(arrival, flow, choice, admission.judgements)
    case .refused: return PacketFate(arrival.packet.refusal)
    case .dropped(let reason): return PacketFate(.dropped(reason))
    }
  }

  /// Whether a pod has made a tunnel's packet, and may not.
  private func isWorkloadTunnel(_ tuple: FlowTuple) -> Bool {
    if options.configuration.allowsWorkloadTunnels { return false }
    switch tuple.protocol {
    case .udp: return tuple.destinationPort == Tunnel.port || tuple.destinationPort == Tunnel.standardPort
    default: return tuple.protocol.rawValue == 4 || tuple.protocol.rawValue == 41
    }
  }

  /// Multicast, broadcast and link-local traffic is the link's own business; but Linux routes IPv4's link-local
  /// addresses like others.
  func isLinkScoped(_ arrival: Arrival) -> Bool {
    let destination = arrival.tuple.destination
    return destination.isLinkScoped && !(arrival.isFromPod && destination.isLinkLocal && destination.family == .ipv4)
  }

  /// Flows between the host and others than its pods are not the data plane's to track.
  private func isHostBusiness(_ arrival: Arrival) -> Bool {
    if arrival.isFromPod || arrival.isThroughTunnel || tables.frontend(arrival.tuple) != nil { return false }
    if tables.kind(arrival.tuple.source) == ADDRESS_LOCAL_POD { return false }
    let destination = arrival.tuple.destination
    if settings.overlay != 0, tables.prefix(arrival.tuple.source).node != 0 || tables.prefix(destination).node != 0 {
      return false
    }
    switch tables.kind(destination) {
    case ADDRESS_EXTERNAL: return !arrival.isPing
    case ADDRESS_UNKNOWN: return !tables.has(PREFIX_SERVICE, destination)
    case ADDRESS_THIS_NODE, ADDRESS_OTHER_NODE: return true
    default: return false
    }
  }

  /// Whether the host says it to itself, by the loopback interface.
  func isOnLoopback(_ arrival: Arrival) -> Bool {
    let destination = arrival.tuple.destination
    return arrival.origin == .host && (destination.isLoopback || tables.kind(destination) == ADDRESS_THIS_NODE)
  }

  /// Whether the host has a policy where the packet is, so that what it sends and receives itself is tracked.
  func isHostJudged(_ arrival: Arrival) -> Bool {
    !isOnLoopback(arrival) && policy.hostEndpoint(at: ModelledFlow.networkInterface) != nil
  }

  /// Whether the sender may use this source address there.
  func isSourceValid(_ arrival: Arrival) -> Bool {
    let source = tables.address(arrival.tuple.source)
    switch arrival.origin {
    case .pod: return source.kind == ADDRESS_LOCAL_POD.rawValue && interface(inSlot: source.index) == arrival.input
    case .tunnel where arrival.tuple.isReturned: return true
    // From the node's own address it is an answer to a pod that has left with it, or a socket's, of which nothing is known.
    case .tunnel where source.kind == ADDRESS_THIS_NODE.rawValue: return flows[arrival.tuple.reversed] != nil
    case .network, .tunnel:
      return !tables.isAbsentPod(arrival.tuple.source) && source.kind != ADDRESS_LOCAL_POD.rawValue
        && source.kind != ADDRESS_THIS_NODE.rawValue
    case .host: return !tables.isAbsentPod(arrival.tuple.source)
    }
  }

  /// A packet for a service address that no frontend answers at.
  private func unserved(_ arrival: Arrival) -> PacketFate.Verdict? {
    let destination = arrival.tuple.destination
    switch tables.kind(destination) {
    case ADDRESS_SERVICE: return arrival.tuple.protocol.hasPorts ? arrival.packet.refusal : .dropped(.serviceAddress)
    case ADDRESS_EXTERNAL where arrival.isPing: return .dropped(.serviceAddress)
    case ADDRESS_UNKNOWN where tables.has(PREFIX_SERVICE, destination): return .dropped(.serviceAddress)
    case ADDRESS_LOCAL_POD, ADDRESS_THIS_NODE: return nil
    // What another node has sent here goes no further.
    default: return arrival.isThroughTunnel ? .dropped(.noLocalBackend) : nil
    }
  }

  // MARK: - Services

  /// Who opens the flow, for session affinity: a pod or the host by where it is, anybody else by the address.
  private func affinityClient(_ arrival: Arrival) -> ip_address {
    let isLocal = arrival.isFromPod ? tables.kind(arrival.tuple.source) == ADDRESS_LOCAL_POD : arrival.origin == .host
    return isLocal ? .client(behind: arrival.input, arrival.family) : ip_address(arrival.tuple.source)
  }

  /// Aims the flow at a backend, if a service has the packet's destination.
  private func balance(_ arrival: Arrival, _ flow: inout ModelledFlow) -> ServiceResult {
    let result = chooseBackend(
      for: serviceTuple(arrival), client: ServiceClient(arrival.origin), knownAs: affinityClient(arrival))
    guard case .chosen(let choice) = result else { return result }
    guard arrival.packet.mayBeginService else { return .dropped(.invalidTCPState) }
    flow.service = choice.frontend.service
    if arrival.origin == .network && aimElsewhere(&flow, choice.backend) { return result }
    flow.translated.destination = choice.backend.address
    flow.translated.destinationPort = choice.backend.port
    avoidSharedSource(arrival, &flow)
    avoidHairpin(arrival, &flow)
    return result
  }

  /// A service's node port is known on a node's own addresses alone: what came through the tunnel for another node's is
  /// looked up as if it were for ours.
  private func serviceTuple(_ arrival: Arrival) -> FlowTuple {
    var tuple = arrival.tuple
    guard arrival.isThroughTunnel, tables.frontend(tuple) == nil, !tables.has(PREFIX_POD, tuple.destination),
      tables.kind(tuple.destination) != ADDRESS_LOCAL_POD
    else { return tuple }
    tuple.destination = IPAddress(arrival.family == .ipv4 ? settings.node_port4 : settings.node_port6)
    return tuple
  }

  /// Whether the address is the node's own, rather than one of its pods'.
  private func isOwnAddress(_ address: IPAddress, of node: UInt32) -> Bool {
    let entry = tables.address(address)
    return entry.kind == ADDRESS_OTHER_NODE.rawValue && entry.index == node
  }

  /// A client outside whose backend is on another node. Returns whether the packet goes there as it is: not if the client
  /// is that node itself, which would take it for forged.
  private func aimElsewhere(_ flow: inout ModelledFlow, _ backend: Backend) -> Bool {
    let kind = tables.kind(backend.address)
    if kind == ADDRESS_LOCAL_POD || kind == ADDRESS_THIS_NODE { return false }
    if backend.node != 0 && nodeName(backend.node) != nil
      && !isOwnAddress(flow.translated.source, of: backend.node)
    {
      flow.tunnelNode = backend.node
      flow.backend = backend
      return true
    }
    flow.translated.source = ownAddress(backend.address.family)
    return false
  }

  /// A process of this node that asks by an address on the loopback interface, which others may have as well, must not
  /// have it for its source.
  private func avoidSharedSource(_ arrival: Arrival, _ flow: inout ModelledFlow) {
    let own = ownAddress(arrival.family)
    let source = arrival.tuple.source
    guard arrival.origin == .host, source == arrival.tuple.destination || source.isLoopback, !own.isUnspecified else {
      return
    }
    flow.translated.source = own
  }

  /// A pod that reaches itself through a service must not see its own address as the peer's.
  private func avoidHairpin(_ arrival: Arrival, _ flow: inout ModelledFlow) {
    guard flow.translated.source == flow.translated.destination else { return }
    let own = ownAddress(arrival.family)
    flow.translated.source = own.isUnspecified ? arrival.tuple.destination : own
  }

  // MARK: - Entering

  private func enter(
    _ arrival: Arrival, _ drafted: ModelledFlow, _ choice: ServiceChoice?, _ judgements: [PolicyJudgement]
  ) -> PacketFate {
    guard arrival.packet.mayBegin else {
      return PacketFate(.dropped(arrival.tuple.protocol.hasPorts ? .invalidTCPState : .invalidICMP))
    }
    var flow = drafted
    aim(arrival, &flow)
    if arrival.isFromPod && isWorkloadTunnel(flow.judged) { return PacketFate(.dropped(.workloadTunnel)) }
    let source = tables.address(arrival.tuple.source)
    let opener = source.kind == ADDRESS_LOCAL_POD.rawValue ? source.index : 0
    let service = choice.flatMap { services.port(withID: $0.frontend.service) }
    flow.exit = exit(arrival, flow)
    var admission = admit(arrival.tuple, flow, opener: opener)
    admission.judgements = judgements + admission.judgements
    if var fate = denied(arrival, admission) {
      (fate.service, fate.candidates) = (service, choice?.candidates ?? [])
      return fate
    }
    guard flow.isByStack || settleSourcePort(arrival.tuple, &flow) else { return PacketFate(.dropped(.portExhausted)) }
    let reply = flow.reply(
      to: arrival.tuple, openerEndpoint: opener, input: replyInput(flow), tunnelNode: replyTunnel(arrival, choice))
    flows.enter(arrival.tuple, flow, reply: reply)
    var fate = PacketFate(forward(arrival, by: flow), by: flow)
    (fate.service, fate.candidates) = (service, choice?.candidates ?? [])
    fate.judgements = admission.judgements
    return fate
  }

  /// Completes the opener's half by what its destination is.
  private func aim(_ arrival: Arrival, _ flow: inout ModelledFlow) {
    guard flow.tunnelNode == 0 else { return }
    let destination = tables.address(flow.translated.destination)
    if flow.isByStack {
      flow.isToHost =
        destination.kind == ADDRESS_THIS_NODE.rawValue || arrival.origin == .network && isLinkScoped(arrival)
      return
    }
    switch address_kind(destination.kind) {
    case ADDRESS_LOCAL_POD: flow.endpoint = destination.index
    case ADDRESS_THIS_NODE: flow.isToHost = true
    case ADDRESS_UNKNOWN, ADDRESS_EXTERNAL:
      if settings.overlay != 0 { flow.tunnelNode = tables.prefix(flow.translated.destination).node }
      if arrival.isFromPod { masquerade(&flow) }
    default: break
    }
  }

  /// Pods that leave the cluster take the node's address, if their range is one that does so.
  private func masquerade(_ flow: inout ModelledFlow) {
    let own = ownAddress(flow.translated.source.family)
    let destination = flow.translated.destination
    guard tables.has(PREFIX_MASQUERADE, flow.translated.source), !own.isUnspecified,
      !tables.has(PREFIX_POD, destination), !tables.has(PREFIX_MASQUERADE, destination)
    else { return }
    flow.translated.source = own
  }

  /// Where the flow leaves.
  private func exit(_ arrival: Arrival, _ flow: ModelledFlow) -> InterfaceIndex? {
    if flow.tunnelNode != 0 { return exitInterface }
    if flow.isByStack { return arrival.origin == .host ? ModelledFlow.networkInterface : nil }
    if flow.isToHost { return nil }
    if flow.endpoint != 0 { return interface(inSlot: flow.endpoint) }
    // Only a packet that leaves has a route looked up.
    return arrival.packet.timeToLive <= 1 && !arrival.origin.isStack ? nil : exitInterface
  }

  /// Makes the reply's tuple unique, in as many tries as the datapath has; `false` if none succeeds.
  private func settleSourcePort(_ opener: FlowTuple, _ flow: inout ModelledFlow) -> Bool {
    if !flows.isTaken(flow.partner, except: opener) { return true }
    let isEcho = opener.protocol == .icmp || opener.protocol == .icmpv6
    guard opener.protocol.hasPorts || isEcho else { return false }
    for _ in 0..<16 {
      let port = 1_024 + UInt16((random.next() >> 32) % 31_744)
      flow.translated.sourcePort = port
      if isEcho { flow.translated.destinationPort = port }
      if !flows.isTaken(flow.partner, except: opener) { return true }
    }
    return false
  }

  /// Where replies will come from.
  private func replyInput(_ flow: ModelledFlow) -> InterfaceIndex {
    if flow.isToHost { return ModelledFlow.host }
    return flow.endpoint == 0 ? ModelledFlow.network : interface(inSlot: flow.endpoint) ?? ModelledFlow.network
  }

  /// Replies of what came through the tunnel return through it, or directly where the service says so.
  private func replyTunnel(_ arrival: Arrival, _ choice: ServiceChoice?) -> UInt32 {
    // A pod that another node lets reach this one as itself: the network knows no way back to it.
    if arrival.origin == .network && settings.overlay != 0 { return tables.prefix(arrival.tuple.source).node }
    let isDirect =
      choice?.has(FRONTEND_DSR) == true && !arrival.tuple.isReturned && !tables.has(PREFIX_NO_DSR, arrival.tuple.source)
    return isDirect ? 0 : arrival.tunnelSender
  }
}

extension PacketDescription {
  /// What becomes of it where nobody serves: no reset answers a reset.
  var refusal: PacketFate.Verdict { tcpFlags?.contains(.rst) == true ? .dropped(.invalidTCPState) : .refused }

  /// Whether the packet, of which no flow is known, may begin one.
  var mayBegin: Bool {
    switch transport {
    // Opening, or the middle of a connection that is older than the tables.
    case .tcp(_, _, let flags): flags.contains(.syn) ? !flags.contains(.ack) : !flags.contains(.rst)
    case .icmp(.echoRequest): true
    case .icmp(.other(let type)): Self.isQuestion(type, isIPv4: source.isIPv4)
    case .icmp: false
    case .udp, .sctp, .other: true
    }
  }

  /// Neither an error or a change of routes, nor an answer, nor the link's own business.
  private static func isQuestion(_ type: UInt8, isIPv4: Bool) -> Bool {
    isIPv4
      ? ![0, 3, 4, 5, 11, 12, 14, 16, 18].contains(type)
      : type >= 128 && ![129, 140, 143].contains(type) && !(130...137).contains(type)
  }

  /// The middle of a connection cannot be given a backend: whichever it was, it is forgotten.
  var mayBeginService: Bool { tcpFlags?.contains(.syn) ?? true }
}

extension IPAddress {
  /// Whether packets to it are their link's own business: multicast, broadcast, link-local.
  var isLinkScoped: Bool { isMulticast || isLinkLocal || ipv4 == .max }
}
