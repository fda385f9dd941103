import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// Questions in ICMP other than echoes, and their answers; and what is neither.
@Suite(.requiresBPF) struct ICMPQuestionTests {
  /// A question between the pods, by the types that a family has for it.
  private struct Question {
    let fixture: DatapathFixture
    let family: AddressFamily
    /// In ICMP a timestamp, in ICMPv6 a node information query.
    let asked: UInt8
    /// What a pod asks with the same identifier, if such messages have one: an address mask; a home agent.
    let other: UInt8

    static let identifier: UInt16 = 4711

    init(_ family: AddressFamily) throws {
      fixture = try DatapathFixture()
      self.family = family
      (asked, other) = family == .ipv4 ? (13, 15) : (139, 144)
    }

    var answered: UInt8 { asked + 1 }

    func packet(_ message: ICMPMessage, to party: Party, timeToLive: UInt8 = 64) -> PacketBuilder {
      let (source, destination) = party == .pod2 ? (Party.pod1, Party.pod2) : (.pod2, .pod1)
      return PacketBuilder().ethernet()
        .ip(from: source.address(family), to: destination.address(family), timeToLive: timeToLive)
        .icmp(message).payload(count: 12)
    }

    func message(_ type: UInt8) -> ICMPMessage {
      .other(type: type, code: 0, rest: UInt32(Self.identifier) << 16 | 1)
    }

    /// Pod 1 sends `message` to pod 2.
    func ask(_ message: ICMPMessage) throws -> Outcome {
      try fixture.send(packet(message, to: .pod2), at: .fromPod(.pod1))
    }

    /// Pod 2 sends it to pod 1.
    func answer(_ message: ICMPMessage) throws -> Outcome {
      try fixture.send(packet(message, to: .pod1), at: .fromPod(.pod2))
    }

    func ask(_ type: UInt8) throws -> Outcome { try ask(message(type)) }
    func answer(_ type: UInt8) throws -> Outcome { try answer(message(type)) }
  }

  @Test(arguments: AddressFamily.allCases)
  func `An answer comes back whatever else the one who asked is closed to`(family: AddressFamily) throws {
    let question = try Question(family)
    question.fixture.policy.assign(.pod1, ingress: question.fixture.policy.write([]))
    try question.ask(question.asked)
      .expect(.redirect, question.packet(question.message(question.asked), to: .pod2, timeToLive: 63))
    try question.answer(question.answered)
      .expect(.redirect, question.packet(question.message(question.answered), to: .pod1, timeToLive: 63))
    #expect(try question.fixture.counts() == ["from_pod": 2, "flows_created": 1])
    #expect(try question.fixture.halfCounts() == (0, 2))
    // A question in return is one of its own, and here is not allowed.
    try question.answer(question.other).expect(.drop)
    #expect(try question.fixture.counts()["drop_policy_ingress"] == 1)
  }

  @Test(arguments: AddressFamily.allCases)
  func `What nobody asked for is dropped, and so are notices`(family: AddressFamily) throws {
    let question = try Question(family)
    // Source quench and redirect; an error that does not exist yet, group membership and redirect by way of a router.
    let notices: [UInt8] = family == .ipv4 ? [4, 5] : [5, 131, 137]
    let types = [question.answered] + notices
    for type in types { try question.ask(type).expect(.drop, nil, "type \(type)") }
    #expect(
      try question.fixture.counts() == ["from_pod": UInt64(types.count), "drop_invalid_icmp": UInt64(types.count)])
    // Nor do they come along with what was asked.
    try question.ask(question.asked).expect(.redirect)
    for type in notices { try question.answer(type).expect(.drop, nil, "type \(type)") }
    #expect(try question.fixture.counts()["drop_invalid_icmp"] == UInt64(types.count + notices.count))
  }

  @Test(arguments: AddressFamily.allCases)
  func `An echo with the same identifier is another flow`(family: AddressFamily) throws {
    let question = try Question(family)
    let echo = ICMPMessage.echoRequest(identifier: Question.identifier, sequence: 1)
    try question.ask(question.asked).expect(.redirect)
    question.fixture.policy.assign(.pod1, ingress: question.fixture.policy.write([]))
    let reply = ICMPMessage.echoReply(identifier: Question.identifier, sequence: 1)
    try question.answer(reply).expect(.drop)
    let counts = try question.fixture.counting { try question.ask(echo).expect(.redirect) }
    #expect(counts == ["from_pod": 1, "flows_created": 1])
    #expect(try question.fixture.halfCounts() == (0, 4))
    try question.answer(reply).expect(.redirect)
    try question.answer(question.answered).expect(.redirect)
  }

  @Test(arguments: AddressFamily.allCases, [true, false])
  func `Who is asked may not ask by the same identifier, unless it is allowed`(family: AddressFamily, isEcho: Bool)
    throws
  {
    let question = try Question(family)
    let (fixture, id) = (question.fixture, Question.identifier)
    let asked = isEcho ? ICMPMessage.echoRequest(identifier: id, sequence: 1) : question.message(question.asked)
    let answered = isEcho ? ICMPMessage.echoReply(identifier: id, sequence: 1) : question.message(question.answered)
    fixture.policy.assign(.pod2, egress: fixture.policy.write([]))
    try question.ask(asked).expect(.redirect)
    // In the answers' direction, but none.
    try question.answer(asked).expect(.drop)
    #expect(try fixture.counts() == ["from_pod": 2, "flows_created": 1, "drop_policy_egress": 1])
    try question.answer(answered).expect(.redirect)
    // Likewise an answer in the questions'.
    try question.ask(answered).expect(.drop)
    fixture.policy.assign(.pod2, egress: fixture.policy.write([.init(POLICY_ALLOW, 1)]))
    try question.answer(asked).expect(.redirect)
    try question.ask(answered).expect(.redirect)
    try question.answer(answered).expect(.redirect)
    #expect(try fixture.counts()["flows_created"] == 2)
    #expect(try fixture.halfCounts() == (0, 4))
  }

  @Test(arguments: AddressFamily.allCases)
  func `A policy for one type is no permit for another`(family: AddressFamily) throws {
    let question = try Question(family)
    let policy = question.fixture.policy
    policy.classify(family == .ipv4 ? POLICY_PLANE_ICMP : POLICY_PLANE_ICMPV6, UInt16(question.asked) << 8, as: 1)
    policy.assign(.pod2, ingress: policy.write([.init(POLICY_ALLOW, 5, [POLICY_PORT: [1]])]))
    try question.ask(question.other).expect(.drop)
    try question.ask(question.asked).expect(.redirect)
    try question.ask(question.other).expect(.drop)
    // Judged again, the flow is still what it was opened as.
    try question.fixture.announcePolicyChange()
    try question.answer(question.answered).expect(.redirect)
    try question.ask(question.asked).expect(.redirect)
    let counts = try question.fixture.counts()
    #expect(counts == ["from_pod": 5, "flows_created": 1, "flows_confirmed": 1, "drop_policy_ingress": 2])
  }

  @Test(arguments: AddressFamily.allCases)
  func `An error about a question, or about its answer, finds their flow`(family: AddressFamily) throws {
    let question = try Question(family)
    let (one, two) = (Party.pod1.address(family), Party.pod2.address(family))
    func error(_ source: IPAddress, _ destination: IPAddress, about packet: PacketBuilder, _ timeToLive: UInt8 = 64)
      -> PacketBuilder
    {
      PacketBuilder().ethernet().ip(from: source, to: destination, timeToLive: timeToLive).icmp(.timeExceeded)
        .quoting(packet)
    }
    let asked = question.packet(question.message(question.asked), to: .pod2)
    let answer = question.packet(question.message(question.answered), to: .pod1)
    try question.ask(question.asked).expect(.redirect)
    try question.fixture.send(error(two, one, about: asked), at: .fromPod(.pod2))
      .expect(.redirect, error(two, one, about: asked, 63))
    try question.fixture.send(error(one, two, about: answer), at: .fromPod(.pod1))
      .expect(.redirect, error(one, two, about: answer, 63))
    // About another question that has the same identifier, there is no flow.
    let other = question.packet(question.message(question.other), to: .pod2)
    try question.fixture.send(error(two, one, about: other), at: .fromPod(.pod2)).expect(.drop)
  }

  /// Pods leave with their node's address, and the identifier tells theirs apart; where there is none, nothing does.
  @Test(arguments: AddressFamily.allCases)
  func `Pods that ask the same host the same are kept apart by the identifier`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (asked, answered): (UInt8, UInt8) = family == .ipv4 ? (13, 14) : (139, 140)
    func packet(_ type: UInt8, _ identifier: UInt16, _ source: Party, _ destination: Party, _ timeToLive: UInt8 = 64)
      -> PacketBuilder
    {
      PacketBuilder().ethernet()
        .ip(from: source.address(family), to: destination.address(family), timeToLive: timeToLive)
        .icmp(.other(type: type, code: 0, rest: UInt32(identifier) << 16 | 1)).payload(count: 12)
    }
    try fixture.masquerade(family)

    try fixture.send(packet(asked, 4711, .pod1, .remote), at: .fromPod(.pod1))
      .expect(.redirect, packet(asked, 4711, .node, .remote, 63))
    let second = try fixture.send(packet(asked, 4711, .pod2, .remote), at: .fromPod(.pod2))
    try fixture.send(packet(answered, 4711, .remote, .node), at: .fromNet)
      .expect(.redirect, packet(answered, 4711, .remote, .pod1, 63))
    guard family == .ipv4 else {
      second.expect(.drop)
      return #expect(try fixture.counts()["drop_port_exhausted"] == 1)
    }
    guard case .other(asked, 0, let rest) = second.parsed.icmp else { return second.expect(.redirect) }
    let identifier = UInt16(rest >> 16)
    #expect(identifier != 4711)
    second.expect(.redirect, packet(asked, identifier, .node, .remote, 63))
    try fixture.send(packet(answered, identifier, .remote, .node), at: .fromNet)
      .expect(.redirect, packet(answered, 4711, .remote, .pod2, 63))
  }
}
