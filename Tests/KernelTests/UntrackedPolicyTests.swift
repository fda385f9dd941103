import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// Policies of the host that judge each packet by itself, before connections are tracked.
@Suite(.requiresBPF) struct UntrackedPolicyTests {
  typealias Rule = PolicyTables.Rule

  /// A fixture whose network interface has these sets, and asks for them.
  private func fixture(_ fill: (PolicyTables, inout host_endpoint) -> Void) throws -> DatapathFixture {
    let fixture = try DatapathFixture()
    var endpoint = host_endpoint()
    fill(fixture.policy, &endpoint)
    try fixture.policy.protect(fixture.datapath.network, by: endpoint)
    fixture.policy.publish(untracked: UNTRACKED_INGRESS.rawValue | UNTRACKED_EGRESS.rawValue)
    return fixture
  }

  private func packet(
    _ talk: Conversation, _ family: AddressFamily, _ turn: Conversation.Turn = .opening, from client: Party,
    _ source: UInt16 = 40_000, to server: Party, _ destination: UInt16 = 8080
  ) -> PacketBuilder {
    talk.packet(
      turn, from: EndAddress(client.address(family), source),
      to: EndAddress(server.address(family), talk.hasPorts ? destination : source))
  }

  /// Whoever floods a port that is closed gets no memory of ours, whomever he claims to be.
  @Test(arguments: Conversation.combinations) func floodLeavesNothing(combination: (Conversation, AddressFamily)) throws
  {
    let (talk, family) = combination
    let fixture = try fixture { $1.untracked_ingress = $0.write([Rule(POLICY_DENY, 1)]) }
    try fixture.serve(at: .node, 8081, talk.number(family), family, by: [(.pod1, 8080)])
    for server in [Party.node, .pod1] {
      for port in UInt16(40_000)..<40_100 {
        try fixture.send(packet(talk, family, from: .client, port, to: server, 8081), at: .fromNet).expect(.drop)
      }
    }
    #expect(try fixture.halfCounts() == (0, 0))
    #expect(try fixture.counts() == ["from_net": 200, "drop_host_policy": 200])
  }

  @Test(arguments: Conversation.combinations)
  func allowedTrafficOfTheHostIsNotTracked(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try fixture {
      $1.untracked_ingress = $0.write([Rule(POLICY_ALLOW, 1)])
      $1.untracked_egress = $0.write([Rule(POLICY_ALLOW, 2)])
      ($1.ingress, $1.egress) = ($0.write([]), $0.write([]))
    }
    try fixture.send(packet(talk, family, from: .client, to: .node), at: .fromNet).expect(.pass)
    try fixture.send(packet(talk, family, .answer, from: .node, to: .client), at: .toNet).expect(.pass)
    #expect(try fixture.halfCounts() == (0, 0))
    // What is for a pod is judged and tracked by others.
    try fixture.send(packet(talk, family, from: .client, to: .pod1), at: .fromNet).expect(.redirect)
    #expect(try fixture.halfCounts() == (0, 2))
  }

  /// There are no replies: what is not allowed on its way out does not leave.
  @Test(arguments: AddressFamily.allCases) func eachDirectionNeedsItsRule(family: AddressFamily) throws {
    let fixture = try fixture {
      $1.untracked_ingress = $0.write([Rule(POLICY_ALLOW, 1)])
      $1.untracked_egress = $0.write([Rule(POLICY_DENY, 2)])
    }
    try fixture.send(packet(.tcp, family, from: .client, to: .node), at: .fromNet).expect(.pass)
    try fixture.send(packet(.tcp, family, .answer, from: .node, 8080, to: .client, 40_000), at: .toNet).expect(.drop)
    // Unmatched: the next stage decides, and here there is none.
    let open = try self.fixture {
      ($1.untracked_ingress, $1.untracked_egress) = ($0.write([]), $0.write([]))
    }
    try open.send(packet(.tcp, family, from: .client, to: .node), at: .fromNet).expect(.pass)
    try open.send(packet(.tcp, family, from: .node, to: .client), at: .toNet).expect(.pass)
  }

  @Test(arguments: AddressFamily.allCases) func failsafePortsAndTheirAnswers(family: AddressFamily) throws {
    let fixture = try fixture {
      let deny = $0.write([Rule(POLICY_DENY, 1)])
      ($1.untracked_ingress, $1.untracked_egress) = (deny, deny)
    }
    let everyone = IPPrefix(IPAddress.unspecified(.ipv6), length: 0)
    try fixture.policy.keepOpen(.tcp, 22, from: everyone)
    try fixture.policy.keepOpen(.udp, 53, from: everyone, egress: true)
    try fixture.send(packet(.tcp, family, from: .client, to: .node, 22), at: .fromNet).expect(.pass)
    try fixture.send(packet(.tcp, family, .data, from: .node, 22, to: .client, 40_000), at: .toNet).expect(.pass)
    try fixture.send(packet(.udp, family, from: .node, to: .remote, 53), at: .toNet).expect(.pass)
    try fixture.send(packet(.udp, family, from: .remote, 53, to: .node, 40_000), at: .fromNet).expect(.pass)
    try fixture.send(packet(.tcp, family, from: .client, 22, to: .node), at: .fromNet).expect(.drop)
    try fixture.send(packet(.udp, family, from: .client, to: .node, 53), at: .fromNet).expect(.drop)
  }

  /// To the pod by its own address, and by a service's if the conversation has ports.
  private func asked(_ talk: Conversation) -> [Party] { talk.hasPorts ? [.pod1, .externalIP] : [.pod1] }

  @Test(arguments: Conversation.combinations)
  func `What is allowed untracked, the host asks nothing more of on its way to a pod`(
    combination: (Conversation, AddressFamily)
  ) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    let deny = fixture.policy.write([Rule(POLICY_DENY, 2)])
    for server in asked(talk) {
      if talk.hasPorts { try fixture.serve(at: .externalIP, 8080, talk.number(family), family, by: [(.pod1, 8080)]) }
      func ask(_ turn: Conversation.Turn = .opening) throws -> Outcome {
        try fixture.send(packet(talk, family, turn, from: .client, to: server), at: .fromNet)
      }
      func answer(_ turn: Conversation.Turn) throws -> Outcome {
        let port: UInt16 = talk.hasPorts ? 8080 : 40_000
        return try fixture.send(
          packet(talk, family, turn, from: .pod1, port, to: .client, 40_000), at: .fromPod(.pod1))
      }
      for stage in [\host_endpoint.before_nat, \.forward_ingress, \.forward_egress] {
        var endpoint = host_endpoint()
        endpoint[keyPath: stage] = deny
        fixture.policy.assign(.pod1)
        try fixture.forgetTraffic()
        // As of every interface, so that the one to the pod has it as well.
        try fixture.policy.protect(nil, by: endpoint)
        try ask().expect(.drop, nil, "\(server): closed to begin with")
        endpoint.untracked_ingress = fixture.policy.write([Rule(POLICY_ALLOW, 1)])
        try fixture.policy.protect(nil, by: endpoint)
        fixture.policy.publish(untracked: UNTRACKED_INGRESS.rawValue)
        try ask().expect(.redirect, nil, "\(server)")
        try answer(.answer).expect(.redirect)
        try ask(.confirmation).expect(.redirect)
        // Also when it is judged again, whoever speaks then.
        for byOpener in [true, false] {
          try fixture.announcePolicyChange()
          let next = try byOpener ? ask(.confirmation) : answer(talk.hasPorts ? .data : .answer)
          next.expect(.redirect, nil, "\(server): judged again")
        }
        #expect(try fixture.halfCounts() == (2, 0))
        // The pod itself is asked as ever, now and at the beginning.
        fixture.policy.assign(.pod1, ingress: fixture.policy.write([]))
        try fixture.announcePolicyChange()
        try ask(.confirmation).expect(.drop)
        try fixture.forgetTraffic()
        try ask().expect(.drop)
        #expect(try fixture.halfCounts() == (0, 0))
        #expect(try fixture.counts()["drop_policy_ingress"] == 1)
        fixture.policy.publish(untracked: 0)
      }
    }
  }

  @Test(arguments: AddressFamily.allCases)
  func `Failsafe ports are the host's: pods behind it have none`(family: AddressFamily) throws {
    let fixture = try fixture {
      let deny = $0.write([Rule(POLICY_DENY, 1)])
      ($1.untracked_ingress, $1.untracked_egress) = (deny, deny)
    }
    let everyone = IPPrefix(IPAddress.unspecified(.ipv6), length: 0)
    try fixture.policy.keepOpen(.tcp, 22, from: everyone)
    try fixture.policy.keepOpen(.udp, 53, from: everyone, egress: true)
    for (server, verdict) in [(Party.node, Outcome.Verdict.pass), (.pod1, .drop), (.remote, .drop)] {
      try fixture.send(packet(.tcp, family, from: .client, to: server, 22), at: .fromNet)
        .expect(verdict, nil, "to port 22 of \(server)")
      try fixture.send(packet(.udp, family, from: .client, 53, to: server, 40_000), at: .fromNet)
        .expect(verdict, nil, "from port 53 to \(server)")
    }
    // What the stack sends on for somebody else.
    for (client, verdict) in [(Party.node, Outcome.Verdict.pass), (.client, .drop)] {
      let network = client == .node ? nil : fixture.datapath.network
      try fixture.send(packet(.udp, family, from: client, to: .remote, 53), at: .toNet, through: network)
        .expect(verdict, nil, "\(client) to port 53")
      try fixture.send(packet(.tcp, family, .data, from: client, 22, to: .remote), at: .toNet, through: network)
        .expect(verdict, nil, "\(client) from port 22")
    }
  }

  @Test(arguments: Conversation.combinations) func blockedSender(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    try fixture.policy.block(IPPrefix(Party.remote.address(family), length: family == .ipv4 ? 24 : 64))
    fixture.policy.publish(untracked: UNTRACKED_BLOCKED.rawValue)
    for server in [Party.node, .pod1] {
      try fixture.send(packet(talk, family, from: .remote, to: server), at: .fromNet).expect(.drop)
    }
    #expect(try fixture.counts() == ["from_net": 2, "drop_blocked": 2])
    try fixture.send(packet(talk, family, from: .client, to: .pod1), at: .fromNet).expect(.redirect)
  }

  /// Answers in an established flow are no exception.
  @Test(arguments: AddressFamily.allCases) func establishedFlowIsJudgedPacketByPacket(family: AddressFamily) throws {
    let fixture = try fixture { _, _ in }
    try fixture.send(packet(.tcp, family, from: .client, to: .pod1), at: .fromNet).expect(.redirect)
    try fixture.send(packet(.tcp, family, .answer, from: .pod1, 8080, to: .client, 40_000), at: .fromPod(.pod1))
      .expect(.redirect)
    try fixture.send(packet(.tcp, family, .confirmation, from: .client, to: .pod1), at: .fromNet).expect(.redirect)
    var endpoint = host_endpoint()
    endpoint.untracked_ingress = fixture.policy.write([Rule(POLICY_DENY, 1)])
    try fixture.policy.protect(fixture.datapath.network, by: endpoint)
    try fixture.send(packet(.tcp, family, .data, from: .client, to: .pod1), at: .fromNet).expect(.drop)
  }

  /// A datagram to or from the node in three pieces.
  private func pieces(_ family: AddressFamily, from client: Party, to server: Party, _ port: UInt16) -> [[UInt8]] {
    PacketBuilder().ethernet().ip(from: client.address(family), to: server.address(family))
      .udp(from: 40_000, to: port).payload(count: 2_000).fragments(ofAtMost: 800, identification: UInt32(port))
  }

  /// They belong to one datagram, of which only the first says whom it is for.
  @Test(arguments: AddressFamily.allCases) func fragmentsGoWhereTheirFirstGoes(family: AddressFamily) throws {
    let fixture = try fixture {
      let rules = [Rule(POLICY_ALLOW, 1, [POLICY_PORT: [1]]), Rule(POLICY_DENY, 2)]
      ($1.untracked_ingress, $1.untracked_egress) = ($0.write(rules), $0.write(rules))
      ($1.ingress, $1.egress) = ($0.write([]), $0.write([]))
    }
    fixture.policy.classify(POLICY_PLANE_UDP, 8080, as: 1)
    for (client, server, place) in [(Party.client, Party.node, Place.fromNet), (.node, .client, .toNet)] {
      for piece in pieces(family, from: client, to: server, 8080) {
        let outcome = try fixture.send(piece, at: place)
        #expect(outcome.verdict == .pass && outcome.packet == piece, "\(client)")
      }
      let closed = pieces(family, from: client, to: server, 8081)
      for piece in closed { try fixture.send(piece, at: place).expect(.drop) }
    }
    #expect(try fixture.halfCounts() == (0, 0))
    let counts = try fixture.counts()
    #expect(counts["drop_host_policy"] == 2 && counts["fragments_held"] == 4)
  }

  /// What the tunnel carries is judged inside.
  @Test(arguments: AddressFamily.allCases) func tunnelsFragmentsPass(family: AddressFamily) throws {
    let fixture = try fixture { $1.untracked_ingress = $0.write([Rule(POLICY_DENY, 1)]) }
    for piece in pieces(family, from: .otherNode, to: .node, 14_789) {
      try fixture.send(piece, at: .fromNet).expect(.pass)
    }
    #expect(try fixture.halfCounts() == (0, 0))
  }

  /// What has the host's address and is not the host's goes on as if nobody had been asked.
  @Test(arguments: Conversation.combinations.filter(\.0.hasPorts))
  func `What is allowed at the host's address is translated where it is not the host's`(
    combination: (Conversation, AddressFamily)
  ) throws {
    let (talk, family) = combination
    let fixture = try fixture {
      let allow = $0.write([Rule(POLICY_ALLOW, 1)])
      ($1.untracked_ingress, $1.untracked_egress) = (allow, allow)
    }
    try fixture.serve(at: .node, 30_080, talk.number(family), family, by: [(.pod1, 8080)])
    try fixture.send(packet(talk, family, from: .client, to: .node, 30_080), at: .fromNet).expect(.redirect)
    try fixture.serve(at: .service, 80, talk.number(family), family, by: [(.remote, 8080)])
    try fixture.send(packet(talk, family, from: .node, to: .service, 80), at: .toNet).expect(.redirect)
    try fixture.masquerade(family)
    try fixture.send(packet(talk, family, from: .pod1, 41_000, to: .remote), at: .fromPod(.pod1)).expect(.redirect)
    try fixture.send(packet(talk, family, .answer, from: .remote, 8080, to: .node, 41_000), at: .fromNet)
      .expect(.redirect)
  }

  /// An error about a flow goes its way, and one about what nobody tracks is the host's.
  @Test(arguments: AddressFamily.allCases) func errorsGoWhereTheyBelong(family: AddressFamily) throws {
    let fixture = try fixture { $1.untracked_ingress = $0.write([Rule(POLICY_ALLOW, 1)]) }
    try fixture.masquerade(family)
    let outcome = try fixture.send(packet(.udp, family, from: .pod1, 41_000, to: .remote), at: .fromPod(.pod1))
    outcome.expect(.redirect)
    func error(about quoted: PacketBuilder) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: Party.remote.address(family), to: Party.node.address(family))
        .icmp(.unreachable(.port)).quoting(quoted)
    }
    try fixture.send(error(about: packet(.udp, family, from: .node, 41_000, to: .remote)), at: .fromNet)
      .expect(.redirect)
    try fixture.send(error(about: packet(.udp, family, from: .node, 41_001, to: .remote)), at: .fromNet).expect(.pass)
  }
}
