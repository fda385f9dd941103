import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// Policies of the host, by the interface that a flow crosses. The host's network interface has them in most tests.
@Suite(.requiresBPF) struct HostPolicyTests {
  typealias Rule = PolicyTables.Rule

  /// The host, a client of it, and whom it asks.
  static let hostPort: UInt16 = 8080

  private func socket(_ party: Party, _ family: AddressFamily, _ port: UInt16) -> EndAddress {
    EndAddress(party.address(family), port)
  }

  /// The flow of `client` to `server`, in one conversation.
  private struct Flow {
    let fixture: DatapathFixture
    let talk: Conversation
    let source: EndAddress
    let destination: EndAddress

    init(
      _ fixture: DatapathFixture, _ talk: Conversation, _ family: AddressFamily, from client: Party, to server: Party,
      port: UInt16 = HostPolicyTests.hostPort
    ) {
      (self.fixture, self.talk) = (fixture, talk)
      source = EndAddress(client.address(family), 40_000)
      destination = EndAddress(server.address(family), talk.hasPorts ? port : 40_000)
    }

    func ask(_ turn: Conversation.Turn = .opening, at place: Place, through: Interface? = nil) throws -> Outcome {
      try fixture.send(talk.packet(turn, from: source, to: destination), at: place, through: through)
    }

    func answer(_ turn: Conversation.Turn = .answer, at place: Place, through: Interface? = nil) throws -> Outcome {
      try fixture.send(talk.packet(turn, from: destination, to: source), at: place, through: through)
    }
  }

  /// A fixture whose network interface, or every interface, has an endpoint with these sets.
  private func fixture(
    everywhere: Bool = false, _ fill: (PolicyTables, inout host_endpoint) -> Void
  ) throws -> DatapathFixture {
    let fixture = try DatapathFixture()
    var endpoint = host_endpoint()
    fill(fixture.policy, &endpoint)
    try fixture.policy.protect(everywhere ? nil : fixture.datapath.network, by: endpoint)
    return fixture
  }

  // MARK: - The host itself

  @Test(arguments: Conversation.combinations)
  func whatTheHostReceives(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    for (action, verdict) in [(POLICY_ALLOW, Outcome.Verdict.pass), (POLICY_DENY, .drop)] {
      let fixture = try fixture { $1.ingress = $0.write([Rule(action, 5)]) }
      let flow = Flow(fixture, talk, family, from: .client, to: .node)
      let packet = talk.packet(.opening, from: flow.source, to: flow.destination)
      try flow.ask(at: .fromNet).expect(verdict, verdict == .pass ? packet : nil)
      guard verdict == .pass else {
        #expect(try fixture.counts() == ["from_net": 1, "drop_host_policy": 1])
        #expect(try fixture.halfCounts() == (0, 0))
        continue
      }
      // The answer follows, and is left to the stack as it is.
      try flow.answer(at: .toNet).expect(.pass, talk.packet(.answer, from: flow.destination, to: flow.source))
      try flow.ask(.confirmation, at: .fromNet).expect(.pass)
      let half = try #require(try fixture.half(talk.number(family), flow.source, flow.destination))
      #expect(half.ingressRule == 5 && half.isConfirmed && half.packets == 2)
      try flow.answer(talk.hasPorts ? .data : .answer, at: .toNet).expect(.pass)
    }
  }

  @Test(arguments: Conversation.combinations)
  func whatTheHostSends(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    for (action, verdict) in [(POLICY_ALLOW, Outcome.Verdict.pass), (POLICY_DENY, .drop)] {
      let fixture = try fixture { $1.egress = $0.write([Rule(action, 5)]) }
      let flow = Flow(fixture, talk, family, from: .node, to: .remote)
      let packet = talk.packet(.opening, from: flow.source, to: flow.destination)
      try flow.ask(at: .toNet).expect(verdict, verdict == .pass ? packet : nil)
      guard verdict == .pass else {
        #expect(try fixture.counts() == ["to_net": 1, "drop_host_policy": 1])
        continue
      }
      try flow.answer(at: .fromNet).expect(.pass, talk.packet(.answer, from: flow.destination, to: flow.source))
      #expect(try fixture.half(talk.number(family), flow.source, flow.destination)?.egressRule == 5)
    }
  }

  /// Where no endpoint is, nothing is judged, and nothing is tracked.
  @Test(arguments: Conversation.combinations)
  func hostWithoutPolicies(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    try Flow(fixture, talk, family, from: .client, to: .node).ask(at: .fromNet).expect(.pass)
    try Flow(fixture, talk, family, from: .node, to: .remote).ask(at: .toNet).expect(.pass)
    #expect(try fixture.halfCounts() == (0, 0))
  }

  @Test(arguments: AddressFamily.allCases) func unmatchedIsDenied(family: AddressFamily) throws {
    let fixture = try fixture {
      $1.ingress = $0.write([])
      $1.egress = $0.write([])
    }
    try Flow(fixture, .tcp, family, from: .client, to: .node).ask(at: .fromNet).expect(.drop)
    try Flow(fixture, .tcp, family, from: .node, to: .remote).ask(at: .toNet).expect(.drop)
    #expect(try fixture.counts()["drop_host_policy"] == 2)
  }

  @Test(arguments: AddressFamily.allCases) func clientOfTheHostIsTold(family: AddressFamily) throws {
    let fixture = try fixture { $1.ingress = $0.write([Rule(POLICY_REJECT, 5)]) }
    let outcome = try Flow(fixture, .tcp, family, from: .client, to: .node).ask(at: .fromNet)
    #expect(outcome.verdict == .redirect && outcome.parsed.tcp?.flags == [.rst, .ack])
  }

  /// An endpoint of an interface comes before the one of all interfaces.
  @Test(arguments: AddressFamily.allCases) func namedEndpointComesFirst(family: AddressFamily) throws {
    let fixture = try fixture(everywhere: true) { $1.ingress = $0.write([]) }
    let flow = Flow(fixture, .udp, family, from: .client, to: .node)
    try flow.ask(at: .fromNet).expect(.drop)
    var named = host_endpoint()
    named.ingress = PolicyTables.open
    try fixture.policy.protect(fixture.datapath.network, by: named)
    try flow.ask(at: .fromNet).expect(.pass)
  }

  @Test(arguments: AddressFamily.allCases) func failsafePorts(family: AddressFamily) throws {
    let fixture = try fixture {
      $1.ingress = $0.write([Rule(POLICY_DENY, 1)])
      $1.egress = $0.write([Rule(POLICY_DENY, 1)])
      $1.before_nat = $0.write([Rule(POLICY_DENY, 1)])
    }
    let everyone = IPPrefix(IPAddress.unspecified(.ipv6), length: 0)
    try fixture.policy.keepOpen(.tcp, 22, from: everyone)
    try fixture.policy.keepOpen(.udp, 53, from: IPPrefix(Party.remote.address(family)), egress: true)
    func ask(_ client: Party, _ server: Party, _ talk: Conversation, _ port: UInt16) throws -> Outcome {
      try Flow(fixture, talk, family, from: client, to: server, port: port)
        .ask(at: client == .node ? .toNet : .fromNet)
    }
    try ask(.client, .node, .tcp, 22).expect(.pass)
    try ask(.client, .node, .udp, 22).expect(.drop)
    try ask(.client, .node, .tcp, 23).expect(.drop)
    try ask(.node, .remote, .udp, 53).expect(.pass)
    try ask(.node, .client, .udp, 53).expect(.drop)
    try ask(.node, .remote, .tcp, 22).expect(.drop)
    // A pod's port is not the host's.
    try ask(.client, .pod1, .tcp, 22).expect(.drop)
  }

  // MARK: - Through the host

  /// What pods send and receive crosses the host's interfaces.
  @Test(arguments: Conversation.combinations)
  func forwardedTrafficOfPods(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try fixture {
      $1.ingress = $0.write([])
      $1.egress = $0.write([])
    }
    let (inward, outward) = (
      Flow(fixture, talk, family, from: .client, to: .pod1), Flow(fixture, talk, family, from: .pod1, to: .remote)
    )
    try inward.ask(at: .fromNet).expect(.redirect)
    try outward.ask(at: .fromPod(.pod1)).expect(.redirect)
    var endpoint = host_endpoint()
    endpoint.forward_ingress = fixture.policy.write([Rule(POLICY_DENY, 4)])
    try fixture.policy.protect(fixture.datapath.network, by: endpoint)
    try fixture.forgetTraffic()
    try inward.ask(at: .fromNet).expect(.drop)
    try outward.ask(at: .fromPod(.pod1)).expect(.redirect)
    #expect(try fixture.counts()["drop_host_policy"] == 1)
    (endpoint.forward_ingress, endpoint.forward_egress) = (0, endpoint.forward_ingress)
    try fixture.policy.protect(fixture.datapath.network, by: endpoint)
    try fixture.forgetTraffic()
    try inward.ask(at: .fromNet).expect(.redirect)
    try outward.ask(at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.halfCounts() == (0, 2), "nothing is left of what was denied")
  }

  /// What the stack routes for others is judged where it comes in and where it leaves.
  @Test(arguments: Conversation.combinations)
  func routedTraffic(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    for stage in [\host_endpoint.forward_ingress, \.forward_egress] {
      for (action, verdict) in [(POLICY_ALLOW, Outcome.Verdict.pass), (POLICY_DENY, .drop)] {
        let fixture = try fixture { $1[keyPath: stage] = $0.write([Rule(action, 5)]) }
        let flow = Flow(fixture, talk, family, from: .client, to: .remote)
        let enters = try flow.ask(at: .fromNet)
        if stage == \.forward_ingress { enters.expect(verdict) }
        guard enters.verdict == .pass else { continue }
        let leaves = try flow.ask(at: .toNet, through: fixture.datapath.network)
        leaves.expect(verdict)
        guard leaves.verdict == .pass else {
          #expect(try fixture.halfCounts() == (0, 0))
          continue
        }
        let answer = try flow.answer(at: .fromNet)
        answer.expect(.pass)
        #expect(answer.isDecided, "nobody asks again where it leaves")
        #expect(try flow.ask(.confirmation, at: .fromNet).isDecided)
        #expect(try fixture.halfCounts() == (2, 0))
      }
    }
  }

  /// The kernel names the interface of a route only once it has found that the packet fits.
  @Test(arguments: AddressFamily.allCases)
  func `A first packet that does not fit is judged by the interface that it would leave by`(
    family: AddressFamily
  ) throws {
    let fixture = try fixture { $1.forward_egress = $0.write([Rule(POLICY_DENY, 5)]) }
    let (pod, remote) = (socket(.pod1, family, 40_000), socket(.remote, family, 53))
    for payload in [1800, 100] {
      let packet = Conversation.udp.packet(.opening, from: pod, to: remote, payload: payload)
      try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop)
    }
    #expect(try fixture.counts() == ["from_pod": 2, "flows_created": 2, "drop_host_policy": 2])
    #expect(try fixture.halfCounts() == (0, 0))
  }

  /// What the kernel does not name an interface for is judged by the endpoint of all interfaces, and by the interface's
  /// own as soon as there is one.
  @Test(arguments: AddressFamily.allCases, [false, true])
  func `A lookup that names no interface settles none`(family: AddressFamily, everywhere: Bool) throws {
    let fixture = try DatapathFixture(DatapathFixture.Options())
    var endpoint = host_endpoint()
    endpoint.forward_egress = fixture.policy.write([Rule(POLICY_DENY, 5)])
    try fixture.policy.protect(everywhere ? nil : fixture.datapath.network, by: endpoint)
    let flow = Flow(fixture, .udp, family, from: .pod1, to: .remote)
    let forwarding = "net.\(family == .ipv4 ? "ipv4" : "ipv6").conf.pod1.forwarding"
    try fixture.node.setSysctl(forwarding, "0")
    #expect(try flow.ask(at: .fromPod(.pod1)).verdict == (everywhere ? .drop : .pass))
    try fixture.node.setSysctl(forwarding, "1")
    try flow.ask(at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.halfCounts() == (0, 0))
  }

  /// The policy that denies is the one of the way in, put into force while the packet is between the two hooks.
  @Test(arguments: Conversation.combinations)
  func `A change while the stack routes a packet has it judged altogether where it leaves`(
    combination: (Conversation, AddressFamily)
  ) throws {
    let (talk, family) = combination
    for isPublished in [false, true] {
      let fixture = try fixture { $1.forward_ingress = $0.write([Rule(POLICY_ALLOW, 5)]) }
      let flow = Flow(fixture, talk, family, from: .client, to: .remote)
      try flow.ask(at: .fromNet).expect(.pass)
      var endpoint = host_endpoint()
      endpoint.forward_ingress = fixture.policy.write([Rule(POLICY_DENY, 6)])
      try fixture.policy.protect(fixture.datapath.network, by: endpoint)
      if isPublished { fixture.policy.publish(count: 2) }
      let leaves = try flow.ask(at: .toNet, through: fixture.datapath.network)
      leaves.expect(isPublished ? .drop : .pass)
      #expect(try fixture.counts()["drop_host_policy"] == (isPublished ? 1 : nil))
      #expect(try fixture.halfCounts() == (0, isPublished ? 0 : 2))
    }
  }

  /// Where the host has policies its flows are tracked, so that an error about none of them is about nothing.
  @Test(arguments: AddressFamily.allCases)
  func `An error about no flow passes only where there is no endpoint, or about the tunnel`(
    family: AddressFamily
  ) throws {
    let places: [(Party, Party, Place)] = [
      (.client, .node, .fromNet), (.client, .remote, .fromNet), (.node, .remote, .toNet),
    ]
    for (sender, receiver, place) in places {
      func error(aboutPort port: UInt16) -> PacketBuilder {
        let quoted = PacketBuilder().ip(from: receiver.address(family), to: sender.address(family))
          .udp(from: 40_000, to: port).payload(count: 8)
        return PacketBuilder().ethernet().ip(from: sender.address(family), to: receiver.address(family))
          .icmp(.unreachable(.port)).quoting(quoted)
      }
      let fixture = try DatapathFixture()
      try fixture.send(error(aboutPort: 8080), at: place).expect(.pass)
      try fixture.policy.protect(fixture.datapath.network, by: host_endpoint())
      try fixture.send(error(aboutPort: 8080), at: place).expect(.drop)
      #expect(try fixture.counts()["drop_invalid_icmp"] == 1)
      try fixture.send(error(aboutPort: 14_789), at: place).expect(.pass)
    }
  }

  /// Nobody has judged it, whoever was judged before.
  @Test(arguments: AddressFamily.allCases)
  func `A flow to a failsafe port is let in by no rule`(family: AddressFamily) throws {
    let fixture = try fixture { $1.ingress = $0.write([Rule(POLICY_ALLOW, 5)]) }
    try fixture.policy.keepOpen(.tcp, 22, from: .all(.ipv4))
    let judged = Flow(fixture, .tcp, family, from: .client, to: .node)
    let failsafe = Flow(fixture, .tcp, family, from: .client, to: .node, port: 22)
    for flow in [judged, failsafe] { try flow.ask(at: .fromNet).expect(.pass) }
    #expect(try fixture.half(.tcp, judged.source, judged.destination)?.ingressRule == 5)
    #expect(try fixture.half(.tcp, failsafe.source, failsafe.destination)?.ingressRule == 0)
  }

  /// Unlike what the host itself sends, what is forwarded goes on where no rule matches, and failsafes are not for it.
  @Test(arguments: AddressFamily.allCases) func unmatchedForwardedTrafficGoesOn(family: AddressFamily) throws {
    let fixture = try fixture {
      $1.forward_ingress = $0.write([])
      $1.forward_egress = $0.write([])
    }
    try Flow(fixture, .tcp, family, from: .client, to: .pod1).ask(at: .fromNet).expect(.redirect)
    try Flow(fixture, .tcp, family, from: .pod1, to: .remote).ask(at: .fromPod(.pod1)).expect(.redirect)
  }

  @Test(arguments: AddressFamily.allCases) func endpointOfAllInterfacesSeesPodsAmongThemselves(family: AddressFamily)
    throws
  {
    for stage in [\host_endpoint.forward_ingress, \.forward_egress, \.before_nat] {
      let fixture = try fixture(everywhere: true) { $1[keyPath: stage] = $0.write([Rule(POLICY_DENY, 3)]) }
      try Flow(fixture, .tcp, family, from: .pod1, to: .pod2).ask(at: .fromPod(.pod1)).expect(.drop)
      #expect(try fixture.counts()["drop_host_policy"] == 1)
    }
  }

  // MARK: - Before translation

  @Test(arguments: AddressFamily.allCases) func beforeTranslation(family: AddressFamily) throws {
    let fixture = try fixture {
      $0.classify(POLICY_PLANE_TCP, 30_080, as: 1)
      $0.classify(POLICY_PLANE_TCP, 30_081, as: 2)
      $1.before_nat = $0.write([
        Rule(POLICY_DENY, 1, [POLICY_PORT: [1]]), Rule(POLICY_ALLOW, 2, [POLICY_PORT: [2]]),
      ])
      $1.forward_ingress = $0.write([Rule(POLICY_DENY, 3)])
    }
    func ask(_ port: UInt16) throws -> Outcome {
      try fixture.serve(at: .node, port, .tcp, family, by: [(.pod1, 8080)])
      return try Flow(fixture, .tcp, family, from: .client, to: .node, port: port).ask(at: .fromNet)
    }
    try ask(30_080).expect(.drop)
    try ask(30_082).expect(.drop, nil, "unmatched: the policies for forwarded traffic decide")
    try ask(30_081).expect(.redirect, nil, "allowed: no other policy of the host is asked")
    #expect(try fixture.counts()["drop_host_policy"] == 2)
    // But the pod's own is.
    try fixture.forgetTraffic()
    fixture.policy.assign(.pod1, ingress: fixture.policy.write([]))
    try ask(30_081).expect(.drop)
    #expect(try fixture.counts()["drop_policy_ingress"] == 1)
    // Nobody learns that there are no endpoints.
    try fixture.serve(at: .node, 30_080, .tcp, family, by: [])
    try Flow(fixture, .tcp, family, from: .client, to: .node, port: 30_080).ask(at: .fromNet).expect(.drop)
  }

  // MARK: - Pods and their host

  @Test(arguments: Conversation.combinations)
  func workloadToHost(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try fixture(everywhere: true) { $1.ingress = $0.write([Rule(POLICY_DENY, 3)]) }
    let flow = Flow(fixture, talk, family, from: .pod1, to: .node)
    try flow.ask(at: .fromPod(.pod1)).expect(.pass)
    try fixture.forgetTraffic()
    fixture.policy.publish(workloadToHost: WORKLOAD_TO_HOST_JUDGE)
    try flow.ask(at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.counts() == ["from_pod": 1, "drop_host_policy": 1])
    var open = host_endpoint()
    open.ingress = PolicyTables.open
    try fixture.policy.protect(nil, by: open)
    try flow.ask(at: .fromPod(.pod1)).expect(.pass)
  }

  @Test(arguments: AddressFamily.allCases) func hostReachesItsPodsWhateverItsPolicies(family: AddressFamily) throws {
    let fixture = try fixture(everywhere: true) {
      let deny = $0.write([Rule(POLICY_DENY, 3)])
      $1 = host_endpoint(
        ingress: deny, egress: deny, forward_ingress: deny, forward_egress: deny, before_nat: deny,
        untracked_ingress: 0, untracked_egress: 0, present: 1)
    }
    let flow = Flow(fixture, .tcp, family, from: .node, to: .pod1)
    try flow.ask(at: .toPod(.pod1)).expect(.pass)
    try flow.answer(at: .fromPod(.pod1)).expect(.pass)
  }

  // MARK: - What is never closed, and what changes

  @Test(arguments: AddressFamily.allCases) func tunnelAndLinkControlStayOpen(family: AddressFamily) throws {
    let fixture = try fixture {
      let deny = $0.write([Rule(POLICY_DENY, 3)])
      ($1.ingress, $1.egress, $1.before_nat) = (deny, deny, deny)
    }
    let tunnel = Flow(fixture, .udp, family, from: .otherNode, to: .node, port: 14_789)
    try tunnel.ask(at: .fromNet).expect(.pass)
    try Flow(fixture, .udp, family, from: .node, to: .otherNode, port: 14_789).ask(at: .toNet).expect(.pass)
    #expect(try fixture.halfCounts() == (0, 0))
    guard family == .ipv6 else { return }
    let solicitation = PacketBuilder().ethernet()
      .ip(
        from: Party.client.address(.ipv6), to: Party.node.address(.ipv6), timeToLive: 255,
        protocol: L4Protocol.icmpv6.rawValue
      )
      .payload([135, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16))
    try fixture.send(solicitation, at: .fromNet).expect(.pass)
  }

  @Test(arguments: Conversation.combinations)
  func establishedFlowOfTheHostIsJudgedAgain(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    for speaksFirst in [true, false] {
      let fixture = try fixture { $1.ingress = $0.write([Rule(POLICY_ALLOW, 5)]) }
      let flow = Flow(fixture, talk, family, from: .client, to: .node)
      try flow.ask(at: .fromNet).expect(.pass)
      try flow.answer(at: .toNet).expect(.pass)
      try flow.ask(.confirmation, at: .fromNet).expect(.pass)
      var endpoint = host_endpoint()
      endpoint.ingress = fixture.policy.write([Rule(POLICY_DENY, 6)])
      try fixture.policy.protect(fixture.datapath.network, by: endpoint)
      try flow.answer(talk.hasPorts ? .data : .answer, at: .toNet).expect(.pass, nil, "not announced yet")
      try fixture.announcePolicyChange()
      let turn: Conversation.Turn = talk.hasPorts ? .data : .answer
      let next = try speaksFirst ? flow.ask(.confirmation, at: .fromNet) : flow.answer(turn, at: .toNet)
      next.expect(.drop)
      endpoint.ingress = fixture.policy.write([Rule(POLICY_ALLOW, 7)])
      try fixture.policy.protect(fixture.datapath.network, by: endpoint)
      try fixture.announcePolicyChange()
      try flow.ask(.confirmation, at: .fromNet).expect(.pass)
      #expect(try fixture.half(talk.number(family), flow.source, flow.destination)?.ingressRule == 7)
    }
  }

  /// A pod cannot speak in a flow of the host's, whatever address it claims.
  @Test(arguments: AddressFamily.allCases) func podDoesNotSpeakForTheHost(family: AddressFamily) throws {
    let fixture = try fixture { $1.egress = $0.write([Rule(POLICY_ALLOW, 5)]) }
    let flow = Flow(fixture, .udp, family, from: .node, to: .remote)
    try flow.ask(at: .toNet).expect(.pass)
    try flow.answer(at: .fromNet).expect(.pass)
    try flow.ask(at: .fromPod(.pod1)).expect(.drop)
    try flow.answer(at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.counts()["drop_source_address"] == 2)
  }
}
