import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// Flows that are under way when policies change: the next packet, of either direction, has them judged again.
@Suite(.requiresBPF) struct PolicyChangeTests {
  typealias Rule = PolicyTables.Rule

  /// How far the flow has come.
  enum Age: CaseIterable, Sendable {
    case opened, answered, confirmed
  }

  /// Who speaks next.
  enum Speaker: CaseIterable, Sendable {
    case client, server
  }

  /// A flow of a pod that asks a service, to the other pod.
  private struct Flow {
    let fixture: DatapathFixture
    let talk: Conversation
    let family: AddressFamily
    let client: EndAddress
    let asked: EndAddress
    let server: EndAddress
    /// The sets that the client's egress and the server's ingress are judged by.
    let (egress, ingress): (UInt32, UInt32)

    init(_ talk: Conversation, _ family: AddressFamily, _ age: Age) throws {
      (self.talk, self.family) = (talk, family)
      fixture = try DatapathFixture()
      client = EndAddress(Party.pod1.address(family), 40_000)
      server = EndAddress(Party.pod2.address(family), talk.hasPorts ? 8080 : 40_000)
      asked = talk.hasPorts ? EndAddress(Party.service.address(family), 80) : server
      if talk.hasPorts { try fixture.serve(at: .service, 80, talk.number(family), family, by: [(.pod2, 8080)]) }
      egress = fixture.policy.write([Rule(POLICY_ALLOW, 1)])
      ingress = fixture.policy.write([Rule(POLICY_ALLOW, 2)])
      // Only what the client opens is asked about.
      fixture.policy.assign(.pod1, ingress: 0, egress: egress)
      fixture.policy.assign(.pod2, ingress: ingress, egress: 0)
      try say(.opening, by: .client).expect(.redirect)
      if age != .opened { try say(.answer, by: .server).expect(.redirect) }
      if age == .confirmed { try say(.confirmation, by: .client).expect(.redirect) }
      try fixture.announcePolicyChange()
    }

    func say(_ turn: Conversation.Turn, by speaker: Speaker) throws -> Outcome {
      switch speaker {
      case .client: try fixture.send(talk.packet(turn, from: client, to: asked), at: .fromPod(.pod1))
      case .server: try fixture.send(talk.packet(turn, from: server, to: client), at: .fromPod(.pod2))
      }
    }

    /// What comes next in the conversation.
    func next(by speaker: Speaker, _ age: Age) throws -> Outcome {
      switch (speaker, age) {
      case (.server, .opened): try say(.answer, by: .server)
      case (.client, .opened): try say(.opening, by: .client)
      case (.client, .answered): try say(.confirmation, by: .client)
      default: try say(talk.hasPorts ? .data : speaker == .server ? .answer : .opening, by: speaker)
      }
    }

    func halves() throws -> [FlowHalf] {
      let number = talk.number(family)
      return [try fixture.half(number, client, asked), try fixture.half(number, server, client)].compactMap { $0 }
    }
  }

  static let moments = Age.allCases.flatMap { age in Speaker.allCases.map { (age, $0) } }

  @Test(arguments: Conversation.combinations, moments)
  func allowedFlowGoesOn(combination: (Conversation, AddressFamily), moment: (Age, Speaker)) throws {
    let flow = try Flow(combination.0, combination.1, moment.0)
    flow.fixture.policy.replace(flow.egress, with: [Rule(POLICY_ALLOW, 11)])
    flow.fixture.policy.replace(flow.ingress, with: [Rule(POLICY_LOG, 12), Rule(POLICY_ALLOW, 13)])
    #expect(try flow.halves().map(\.policyGeneration) == [0, 0])
    try flow.next(by: moment.1, moment.0).expect(.redirect)
    let halves = try flow.halves()
    #expect(halves.map(\.egressRule) == [11, 11] && halves.map(\.ingressRule) == [13, 13])
    #expect(halves.map(\.policyGeneration) == [1, 1])
    #expect(try flow.fixture.counts()["policy_logged"] == 1)
    try flow.next(by: moment.1, moment.0).expect(.redirect)
    #expect(try flow.fixture.counts()["policy_logged"] == 1, "once")
    #expect(try flow.fixture.counts()["flows_created"] == 1)
  }

  @Test(arguments: Conversation.combinations, moments)
  func `A denied flow waits, and goes on where it was once it is allowed`(
    combination: (Conversation, AddressFamily), moment: (Age, Speaker)
  ) throws {
    for isEgress in [true, false] {
      let flow = try Flow(combination.0, combination.1, moment.0)
      flow.fixture.policy.replace(isEgress ? flow.egress : flow.ingress, with: [Rule(POLICY_DENY, 11)])
      try flow.next(by: moment.1, moment.0).expect(.drop)
      #expect(try flow.fixture.counts()[isEgress ? "drop_policy_egress" : "drop_policy_ingress"] == 1)
      let halves = try flow.halves()
      for speaker in Speaker.allCases { try flow.next(by: speaker, moment.0).expect(.drop) }
      #expect(try flow.halves().map(\.packets) == halves.map(\.packets), "what is dropped is no part of it")
      flow.fixture.policy.replace(isEgress ? flow.egress : flow.ingress, with: [Rule(POLICY_ALLOW, 12)])
      try flow.fixture.announcePolicyChange()
      try flow.next(by: moment.1, moment.0).expect(.redirect)
      #expect(try flow.halves().map { isEgress ? $0.egressRule : $0.ingressRule } == [12, 12])
      #expect(try flow.fixture.counts()["flows_created"] == 1)
    }
  }

  /// The other way round it is another connection, which policies may allow.
  @Test(arguments: [Conversation.tcp, .sctp], AddressFamily.allCases)
  func `A denied connection does not stand in the way of one from the other end`(
    talk: Conversation, family: AddressFamily
  ) throws {
    let flow = try Flow(talk, family, .confirmed)
    let policy = flow.fixture.policy
    let allow = policy.write([Rule(POLICY_ALLOW, 21)])
    policy.assign(.pod1, ingress: allow, egress: flow.egress)
    policy.assign(.pod2, ingress: flow.ingress, egress: allow)
    policy.replace(flow.egress, with: [Rule(POLICY_DENY, 11)])
    try flow.say(.data, by: .server).expect(.drop, nil, "what is said in the denied one")
    try flow.say(.opening, by: .server).expect(.redirect)
    let halves = [
      try flow.fixture.half(talk.number(family), flow.server, flow.client),
      try flow.fixture.half(talk.number(family), flow.client, flow.server),
    ]
    #expect(halves.map { $0?.ingressRule } == [21, 21])
    try flow.say(.opening, by: .client).expect(.drop, nil, "what is denied stays so")
  }

  /// Whether or not the client speaks, the server is not heard any more.
  @Test(arguments: AddressFamily.allCases) func errorOfADeniedFlowGoesNowhere(family: AddressFamily) throws {
    let flow = try Flow(.udp, family, .confirmed)
    let error = PacketBuilder().ethernet().ip(from: flow.server.address, to: flow.client.address)
      .icmp(.unreachable(.port)).quoting(flow.talk.packet(.data, from: flow.client, to: flow.server))
    try flow.fixture.send(error, at: .fromPod(.pod2)).expect(.redirect)
    #expect(try flow.halves().map(\.policyGeneration) == [1, 1], "an error is reason enough to judge")
    flow.fixture.policy.replace(flow.ingress, with: [Rule(POLICY_DENY, 11)])
    try flow.fixture.announcePolicyChange()
    try flow.fixture.send(error, at: .fromPod(.pod2)).expect(.drop)
    #expect(try flow.fixture.counts()["icmp_errors_translated"] == 1, "the first")
  }

  /// A sender that is rejected in the middle of a connection learns it at once.
  @Test(arguments: AddressFamily.allCases) func rejectedConnectionIsReset(family: AddressFamily) throws {
    let flow = try Flow(.tcp, family, .confirmed)
    flow.fixture.policy.replace(flow.ingress, with: [Rule(POLICY_REJECT, 11)])
    let outcome = try flow.say(.data, by: .client)
    #expect(outcome.verdict == .redirect)
    #expect(outcome.parsed.tcp?.flags == .rst && outcome.parsed.tcp?.sequence == 5_000)
    #expect(try flow.fixture.halfCounts() == (0, 0))
  }

  /// Fragments after the first are judged as their datagram was.
  @Test func laterFragmentIsJudgedAgain() throws {
    let flow = try Flow(.udp, .ipv4, .confirmed)
    let fragments = flow.talk.packet(.data, from: flow.client, to: flow.asked, payload: 2_000)
      .fragments(ofAtMost: 1_200)
    try flow.fixture.send(fragments[0], at: .fromPod(.pod1)).expect(.redirect)
    flow.fixture.policy.replace(flow.ingress, with: [Rule(POLICY_DENY, 11)])
    try flow.fixture.announcePolicyChange()
    try flow.fixture.send(fragments[1], at: .fromPod(.pod1)).expect(.drop)
    #expect(try flow.fixture.counts()["drop_policy_ingress"] == 1)
  }
}
