import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// Flows that this node sends through the tunnel as they are, for the other node to translate. The host's policies for
/// forwarded traffic see whom they are for, all the same.
@Suite(.requiresBPF) struct TunnelPolicyTests {
  typealias Rule = PolicyTables.Rule

  /// The classes of the port and address that a client asks, and of those that it gets.
  private static let asked: [policy_dimension: Set<UInt32>] = [POLICY_PORT: [1], POLICY_DESTINATION_PREFIX: [1]]
  private static let meant: [policy_dimension: Set<UInt32>] = [POLICY_PORT: [2], POLICY_DESTINATION_PREFIX: [2]]

  /// A client asks the node's port for a service that `.otherPod` has.
  private struct Flow {
    let fixture: DatapathFixture
    let talk: Conversation
    let client: EndAddress
    let service: EndAddress
    let stage: WritableKeyPath<host_endpoint, UInt32>

    init(_ talk: Conversation, _ family: AddressFamily, _ stage: WritableKeyPath<host_endpoint, UInt32>) throws {
      (self.talk, self.stage) = (talk, stage)
      client = EndAddress(Party.client.address(family), 40_000)
      service = EndAddress(Party.node.address(family), 30_080)
      fixture = try DatapathFixture()
      try fixture.openTunnel(family)
      try fixture.serve(at: .node, 30_080, talk.number(family), family, by: [(.otherPod, 8080)])
      for (plane, number) in [(POLICY_PLANE_TCP, L4Protocol.tcp), (POLICY_PLANE_UDP, .udp), (POLICY_PLANE_SCTP, .sctp)]
      where number == talk.number(family) {
        fixture.policy.classify(plane, 30_080, as: 1)
        fixture.policy.classify(plane, 8080, as: 2)
      }
      try fixture.policy.classify(IPPrefix(Party.node.address(family)), as: 1)
      try fixture.policy.classify(IPPrefix(Party.otherPod.address(family)), as: 2)
    }

    /// Makes these the rules of every interface, the tunnel's as well.
    func judge(by rules: [Rule]) throws {
      var endpoint = host_endpoint()
      endpoint[keyPath: stage] = fixture.policy.write(rules)
      try fixture.policy.protect(nil, by: endpoint)
      try fixture.announcePolicyChange()
    }

    func ask(_ turn: Conversation.Turn) throws -> Outcome {
      try fixture.send(talk.packet(turn, from: client, to: service), at: .fromNet)
    }

    func expect(_ turn: Conversation.Turn, goesOn: Bool, _ comment: Comment) throws {
      let whole = talk.packet(turn, from: client, to: service, timeToLive: 63)
      try ask(turn).expect(goesOn ? .redirect : .drop, goesOn ? whole : nil, comment)
    }
  }

  /// Runs `body` on a flow in each conversation that has ports, with the rules where it comes in and where it leaves.
  private func forEachFlow(_ family: AddressFamily, _ body: (Flow) throws -> Void) throws {
    for (talk, own) in Conversation.combinations where talk.hasPorts && own == family {
      for stage in [\host_endpoint.forward_ingress, \.forward_egress] { try body(Flow(talk, family, stage)) }
    }
  }

  @Test(arguments: AddressFamily.allCases)
  func `A flow for another node's pod is judged by the pod's address and port`(family: AddressFamily) throws {
    try forEachFlow(family) { flow in
      for (rules, goesOn, comment) in [
        ([Rule(POLICY_ALLOW, 1, Self.meant), Rule(POLICY_DENY, 2)], true, "the pod is allowed" as Comment),
        ([Rule(POLICY_ALLOW, 1, Self.asked), Rule(POLICY_DENY, 2)], false, "the node port is allowed"),
        ([Rule(POLICY_DENY, 1, Self.meant), Rule(POLICY_ALLOW, 2)], false, "the pod is denied"),
        ([Rule(POLICY_DENY, 1, Self.asked), Rule(POLICY_ALLOW, 2)], true, "the node port is denied"),
      ] {
        try flow.judge(by: rules)
        try flow.fixture.forgetTraffic()
        try flow.expect(.opening, goesOn: goesOn, comment)
        #expect(
          try flow.fixture.counts() == ["from_net": 1, goesOn ? "flows_created" : "drop_host_policy": 1], comment)
        #expect(try flow.fixture.halfCounts() == (0, goesOn ? 2 : 0), comment)
      }
    }
  }

  @Test(arguments: AddressFamily.allCases)
  func `So it is when policies change`(family: AddressFamily) throws {
    try forEachFlow(family) { flow in
      try flow.judge(by: [Rule(POLICY_ALLOW, 1)])
      try flow.expect(.opening, goesOn: true, "open")
      try flow.expect(.confirmation, goesOn: true, "nobody here hears the answer")
      #expect(try flow.fixture.halfCounts() == (2, 0))
      try flow.judge(by: [Rule(POLICY_DENY, 1, Self.asked), Rule(POLICY_ALLOW, 2, Self.meant), Rule(POLICY_DENY, 3)])
      try flow.expect(.data, goesOn: true, "the pod is still allowed")
      #expect(try flow.fixture.halfCounts() == (2, 0))
      try flow.judge(by: [Rule(POLICY_ALLOW, 1, Self.asked), Rule(POLICY_DENY, 2, Self.meant)])
      try flow.expect(.data, goesOn: false, "the pod is denied now")
      #expect(try flow.fixture.counts()["drop_host_policy"] == 1)
    }
  }
}
