import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// What policy does with the first packet of a flow, at the pod that sends it and at the pod that it is for.
@Suite(.requiresBPF) struct WorkloadPolicyTests {
  typealias Rule = PolicyTables.Rule

  static let client = (party: Party.pod1, port: UInt16(40_000))
  static let server = (party: Party.pod2, port: UInt16(8080))

  /// A flow from pod 1 to pod 2 in one protocol.
  struct Flow {
    let fixture: DatapathFixture
    let talk: Conversation
    let family: AddressFamily

    var number: L4Protocol { talk.number(family) }
    var source: EndAddress { EndAddress(client.party.address(family), client.port) }
    /// Echoes have one identifier in place of both ports.
    var destination: EndAddress { EndAddress(server.party.address(family), talk.hasPorts ? server.port : client.port) }
    var opening: PacketBuilder { talk.packet(.opening, from: source, to: destination) }

    func open() throws -> Outcome { try fixture.send(opening, at: .fromPod(.pod1)) }
    func half() throws -> FlowHalf? { try fixture.half(number, source, destination) }

    /// Opens the flow, and expects it to get through by rule `id` or to be dropped.
    func expect(
      _ id: UInt32?, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      try fixture.forgetTraffic()
      let outcome = try open()
      guard let id else {
        #expect(outcome.verdict == .drop, comment, sourceLocation: sourceLocation)
        #expect(
          try fixture.counts() == ["from_pod": 1, "drop_policy_ingress": 1], comment, sourceLocation: sourceLocation)
        return #expect(try fixture.halfCounts() == (0, 0), comment, sourceLocation: sourceLocation)
      }
      outcome.expect(
        .redirect, talk.packet(.opening, from: source, to: destination, timeToLive: 63), comment,
        sourceLocation: sourceLocation)
      #expect(try half()?.ingressRule == id, comment, sourceLocation: sourceLocation)
    }
  }

  private func flow(_ talk: Conversation, _ family: AddressFamily) throws -> Flow {
    Flow(fixture: try DatapathFixture(), talk: talk, family: family)
  }

  // MARK: - Dimensions

  /// Puts the flow's packets into class 3 of a dimension.
  private func classify(_ flow: Flow, in dimension: policy_dimension) throws {
    let policy = flow.fixture.policy
    switch dimension {
    case POLICY_SOURCE_IDENTITY: try policy.identify(.pod1, flow.family, as: 3)
    case POLICY_DESTINATION_IDENTITY: try policy.identify(.pod2, flow.family, as: 3)
    case POLICY_SOURCE_PREFIX: try policy.classify(IPPrefix(flow.source.address), as: 3)
    case POLICY_DESTINATION_PREFIX:
      try policy.classify(IPPrefix(flow.destination.address, length: flow.family == .ipv4 ? 24 : 64), as: 3)
    case POLICY_PORT: policy.classify(destinationPlane(flow), destinationIndex(flow), as: 3)
    case POLICY_SOURCE_PORT: policy.classify(sourcePlane(flow), flow.source.port, as: 3)
    case POLICY_TUPLE: try policy.classify(flow.destination, flow.number, as: 3)
    default: try policy.classify(flow.source, flow.number, as: 3)
    }
  }

  private func destinationPlane(_ flow: Flow) -> policy_plane {
    switch flow.number {
    case .tcp: POLICY_PLANE_TCP
    case .udp: POLICY_PLANE_UDP
    case .sctp: POLICY_PLANE_SCTP
    case .icmp: POLICY_PLANE_ICMP
    default: POLICY_PLANE_ICMPV6
    }
  }

  private func destinationIndex(_ flow: Flow) -> UInt16 {
    flow.talk.hasPorts ? flow.destination.port : (flow.family == .ipv4 ? 8 : 128) << 8
  }

  private func sourcePlane(_ flow: Flow) -> policy_plane {
    switch flow.number {
    case .tcp: POLICY_PLANE_SOURCE_TCP
    case .udp: POLICY_PLANE_SOURCE_UDP
    default: POLICY_PLANE_SOURCE_SCTP
    }
  }

  static let dimensions = (0..<POLICY_DIMENSION_COUNT.rawValue).map { policy_dimension($0) }

  @Test(arguments: Conversation.combinations, dimensions)
  func dimensionDecides(combination: (Conversation, AddressFamily), dimension: policy_dimension) throws {
    let hasPorts = combination.0.hasPorts
    guard
      hasPorts || ![POLICY_SOURCE_PORT, POLICY_TUPLE, POLICY_SOURCE_TUPLE].contains(where: { $0 == dimension })
    else { return }
    let flow = try flow(combination.0, combination.1)
    let set = flow.fixture.policy.write([Rule(POLICY_ALLOW, 21, [dimension: [3]])])
    flow.fixture.policy.assign(.pod2, ingress: set)
    try flow.expect(nil, "no class")
    try classify(flow, in: dimension)
    try flow.expect(21)
  }

  @Test(arguments: AddressFamily.allCases) func allDimensionsHaveToAgree(family: AddressFamily) throws {
    let flow = try flow(.tcp, family)
    let rule = Rule(
      POLICY_ALLOW, 5, Dictionary(uniqueKeysWithValues: Self.dimensions.map { ($0, Set([UInt32(3)])) }))
    flow.fixture.policy.assign(.pod2, ingress: flow.fixture.policy.write([rule]))
    for dimension in Self.dimensions {
      try flow.expect(nil, "before dimension \(dimension.rawValue)")
      try classify(flow, in: dimension)
    }
    try flow.expect(5)
  }

  // MARK: - Order, passing, logging

  /// Wherever a rule's bit is: in the same word as others, in another one, under another word of the summary.
  @Test(arguments: [1, 63, 64, 100, 1_000, 4_096]) func firstRuleThatMatchesDecides(spacing: Int) throws {
    let flow = try flow(.udp, .ipv4)
    let policy = flow.fixture.policy
    try policy.identify(.pod1, .ipv4, as: 2)
    policy.classify(POLICY_PLANE_UDP, Self.server.port, as: 1)
    func expect(_ id: UInt32?, _ rules: [Rule]) throws {
      policy.assign(.pod2, ingress: policy.write(rules, spacing: spacing))
      try flow.expect(id, "\(rules.map(\.id))")
    }
    let (other, own) = ([POLICY_SOURCE_IDENTITY: Set([UInt32(1)])], [POLICY_SOURCE_IDENTITY: Set([UInt32(2)])])
    try expect(3, [Rule(POLICY_DENY, 1, other), Rule(POLICY_REJECT, 2, other), Rule(POLICY_ALLOW, 3, own)])
    try expect(nil, [Rule(POLICY_DENY, 1, own), Rule(POLICY_ALLOW, 2)])
    try expect(2, [Rule(POLICY_ALLOW, 1, [POLICY_PORT: [0]]), Rule(POLICY_ALLOW, 2, [POLICY_PORT: [1]])])
    try expect(4, [.pass(1, to: 3, own), Rule(POLICY_DENY, 2), Rule(POLICY_DENY, 3), Rule(POLICY_ALLOW, 4)])
    try expect(nil, [.pass(1, to: PolicyTables.ruleLimit), Rule(POLICY_ALLOW, 2)])
    try expect(3, [Rule(POLICY_LOG, 1), Rule(POLICY_LOG, 2, other), Rule(POLICY_ALLOW, 3)])
    #expect(try flow.fixture.counts()["policy_logged"] == 1)
    try expect(nil, [.pass(1, to: 0), Rule(POLICY_ALLOW, 2)])
  }

  @Test(arguments: AddressFamily.allCases) func ruleOfOneFamily(family: AddressFamily) throws {
    let flow = try flow(.tcp, family)
    let rules = AddressFamily.allCases.map { Rule(POLICY_ALLOW, $0 == .ipv4 ? 4 : 6, families: [$0]) }
    flow.fixture.policy.assign(.pod2, ingress: flow.fixture.policy.write(rules))
    try flow.expect(family == .ipv4 ? 4 : 6)
  }

  // MARK: - What is no set, or not whole

  @Test(arguments: Conversation.combinations) func whatIsNotKnownDenies(combination: (Conversation, AddressFamily))
    throws
  {
    let flow = try flow(combination.0, combination.1)
    let policy = flow.fixture.policy
    policy.assign(.pod2, ingress: 0)
    try flow.expect(nil, "not known yet")
    policy.assign(.pod2, ingress: policy.write([]))
    try flow.expect(nil, "nothing matches")
    let set = policy.write([Rule(POLICY_ALLOW, 1)])
    policy.assign(.pod2, ingress: set)
    try flow.expect(1)
    policy.close(set)
    try flow.expect(nil, "no header")
    policy.assign(.pod2, ingress: 4_000)
    try flow.expect(nil, "a set that nobody has written")
    policy.assign(.pod2, ingress: .max)
    try flow.expect(nil, "no such set")
  }

  // MARK: - Both ends

  @Test(arguments: Conversation.combinations)
  func bothEndsHaveToAllow(combination: (Conversation, AddressFamily)) throws {
    let flow = try flow(combination.0, combination.1)
    let (fixture, policy) = (flow.fixture, flow.fixture.policy)
    let (allow, deny) = (policy.write([Rule(POLICY_ALLOW, 7)]), policy.write([Rule(POLICY_DENY, 8)]))
    policy.assign(.pod1, ingress: deny, egress: allow)
    policy.assign(.pod2, ingress: policy.write([Rule(POLICY_ALLOW, 9)]), egress: deny)
    _ = try flow.open()
    let half = try #require(try flow.half())
    #expect((half.egressRule, half.ingressRule) == (7, 9))
    // The reply follows, whatever its sender may open.
    try fixture.send(flow.talk.packet(.answer, from: flow.destination, to: flow.source), at: .fromPod(.pod2))
      .expect(.redirect)
    try fixture.forgetTraffic()
    policy.assign(.pod1, ingress: allow, egress: deny)
    #expect(try flow.open().verdict == .drop)
    #expect(try fixture.counts() == ["from_pod": 1, "drop_policy_egress": 1])
    #expect(try fixture.halfCounts() == (0, 0))
  }

  @Test(arguments: AddressFamily.allCases) func senderIsTold(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let reject = fixture.policy.write([Rule(POLICY_REJECT, 8)])
    let (client, server) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.pod2.address(family), 8080)
    )
    let answer = PacketBuilder().ethernet(from: MACAddress(2, 0, 0, 0, 0, 2), to: MACAddress(2, 0, 0, 0, 0, 1))
      .ip(from: server.address, to: client.address)
    for (ingress, egress) in [(PolicyTables.open, reject), (reject, PolicyTables.open)] {
      fixture.policy.assign(.pod1, egress: egress)
      fixture.policy.assign(.pod2, ingress: ingress)
      try fixture.forgetTraffic()
      try fixture.send(Conversation.tcp.packet(.opening, from: client, to: server), at: .fromPod(.pod1)).expect(
        .redirect,
        answer.tcp(from: 8080, to: 40_000, flags: [.rst, .ack], sequence: 0, acknowledgement: 1000, window: 0))
      for talk in [Conversation.udp, .sctp, .echo] {
        let packet = talk.packet(.opening, from: client, to: server)
        let quote = (packet.bytes.count - 14) & ~3
        try fixture.send(packet, at: .fromPod(.pod1))
          .expect(.redirect, answer.icmp(.unreachable(.port)).quoting(packet, limit: quote), "\(talk)")
      }
      #expect(try fixture.counts() == ["from_pod": 4, "refused": 4])
      #expect(try fixture.halfCounts() == (0, 0))
    }
  }

  /// Protocols that have no ports are judged like others.
  @Test(arguments: AddressFamily.allCases) func otherProtocols(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    fixture.policy.classify(POLICY_PLANE_OTHER, 47, as: 3)
    let set = fixture.policy.write([Rule(POLICY_ALLOW, 1, [POLICY_PORT: [3]])])
    fixture.policy.assign(.pod2, ingress: set)
    for (number, verdict) in [(UInt8(47), Outcome.Verdict.redirect), (50, .drop)] {
      let packet = PacketBuilder().ethernet()
        .ip(from: Party.pod1.address(family), to: Party.pod2.address(family), protocol: number).payload(count: 20)
      #expect(try fixture.send(packet, at: .fromPod(.pod1)).verdict == verdict, "protocol \(number)")
    }
  }

  // MARK: - Services

  /// Policy sees the client's own address and the backend's, wherever the client is.
  @Test(arguments: Conversation.combinations.filter { $0.0.hasPorts })
  func backendIsJudgedAndNotTheService(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    let policy = fixture.policy
    let (frontend, backend) = (UInt16(80), UInt16(8080))
    let plane: policy_plane = talk == .tcp ? POLICY_PLANE_TCP : talk == .sctp ? POLICY_PLANE_SCTP : POLICY_PLANE_UDP
    policy.classify(plane, backend, as: 1)
    policy.classify(plane, frontend, as: 2)
    try policy.classify(IPPrefix(Party.client.address(family)), as: 1)
    try policy.classify(IPPrefix(Party.pod1.address(family)), as: 1)
    try policy.classify(IPPrefix(Party.pod2.address(family)), as: 2)
    try policy.classify(IPPrefix(Party.service.address(family)), as: 3)
    let set = policy.write([
      Rule(POLICY_ALLOW, 4, [POLICY_PORT: [1], POLICY_SOURCE_PREFIX: [1], POLICY_DESTINATION_PREFIX: [2]])
    ])
    policy.assign(.pod1, egress: set)
    policy.assign(.pod2, ingress: set)
    for (client, asked, place) in [
      (Party.pod1, Party.service, Place.fromPod(.pod1)), (.client, .externalIP, .fromNet),
    ] {
      try fixture.serve(at: asked, frontend, talk.number(family), family, by: [(.pod2, backend)])
      let (source, service) = (EndAddress(client.address(family), 40_000), EndAddress(asked.address(family), frontend))
      try fixture.send(talk.packet(.opening, from: source, to: service), at: place).expect(.redirect)
      let half = try #require(try fixture.half(talk.number(family), source, service))
      #expect(half.ingressRule == 4)
      #expect(half.egressRule == (client == .pod1 ? 4 : 0))
    }
  }

  @Test(arguments: Conversation.combinations.filter { $0.0.hasPorts })
  func podMayTalkToItself(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    fixture.policy.assign(.pod1, ingress: 0, egress: 0)
    try fixture.serve(at: .service, 80, talk.number(family), family, by: [(.pod1, 8080)])
    let packet = talk.packet(
      .opening, from: EndAddress(Party.pod1.address(family), 40_000), to: EndAddress(Party.service.address(family), 80))
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.redirect)
  }

  // MARK: - Hosts

  /// The node reaches its pods, for it has to look after them; who is routed through the node does not.
  @Test(arguments: Conversation.combinations) func hostReachesItsPods(combination: (Conversation, AddressFamily)) throws
  {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    fixture.policy.assign(.pod1, ingress: 0, egress: 0)
    let pod = EndAddress(Party.pod1.address(family), 8080)
    let own = talk.packet(.opening, from: EndAddress(Party.node.address(family), 40_000), to: pod)
    try fixture.send(own, at: .toPod(.pod1)).expect(.pass)
    try fixture.send(own, at: .toPod(.pod1), through: fixture.datapath.network).expect(.pass)
    let routed = talk.packet(.opening, from: EndAddress(Party.client.address(family), 40_000), to: pod)
    try fixture.send(routed, at: .toPod(.pod1), through: fixture.datapath.network).expect(.drop)
    #expect(try fixture.counts()["drop_policy_ingress"] == 1)
  }

  /// Another node is not this one.
  @Test(arguments: AddressFamily.allCases) func otherNodesAreJudged(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    fixture.policy.assign(.pod1, ingress: fixture.policy.write([]))
    let packet = Conversation.tcp.packet(
      .opening, from: EndAddress(Party.otherNode.address(family), 40_000),
      to: EndAddress(Party.pod1.address(family), 8080))
    try fixture.send(packet, at: .fromNet).expect(.drop)
    #expect(try fixture.counts() == ["from_net": 1, "drop_policy_ingress": 1])
  }

  @Test(arguments: Conversation.combinations)
  func podsAndTheirOwnNode(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    let packet = talk.packet(
      .opening, from: EndAddress(Party.pod1.address(family), 40_000),
      to: EndAddress(Party.node.address(family), talk.hasPorts ? 8080 : 40_000))
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.pass)
    try fixture.forgetTraffic()
    fixture.policy.publish(workloadToHost: WORKLOAD_TO_HOST_DROP)
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.counts() == ["from_pod": 1, "drop_workload_to_host": 1])
    fixture.policy.publish(workloadToHost: WORKLOAD_TO_HOST_ACCEPT)
    fixture.policy.assign(.pod1, egress: 0)
    try fixture.forgetTraffic()
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.counts() == ["from_pod": 1, "drop_policy_egress": 1])
  }

  /// Where clouds tell machines about themselves, pods have no business unless policy says so.
  @Test func metadataAddressIsJudged() throws {
    let fixture = try DatapathFixture()
    let packet = Conversation.tcp.packet(
      .opening, from: EndAddress(Party.pod1.address(.ipv4), 40_000), to: EndAddress(IPAddress(169, 254, 169, 254), 80))
    fixture.policy.assign(.pod1, egress: fixture.policy.write([]))
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.counts() == ["from_pod": 1, "drop_policy_egress": 1])
    fixture.policy.assign(.pod1)
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.redirect)
  }
}
