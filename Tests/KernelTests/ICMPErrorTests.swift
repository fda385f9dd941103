import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// ICMP errors about flows go the way of the flow and are translated with what they quote, in both directions.
@Suite(.requiresBPF) struct ICMPErrorTests {
  /// A translated flow from a client on the wire to a pod, with an error about each of its directions.
  private struct Flow {
    let fixture: DatapathFixture
    let talk: Conversation
    let client: EndAddress
    let service: EndAddress
    let pod: EndAddress

    init(_ talk: Conversation, _ family: AddressFamily) throws {
      self.talk = talk
      fixture = try DatapathFixture()
      try fixture.serve(at: .externalIP, 80, talk.number(family), family, by: [(.pod1, 8080)])
      client = EndAddress(Party.remote.address(family), 40_000)
      service = EndAddress(Party.externalIP.address(family), 80)
      pod = EndAddress(Party.pod1.address(family), 8080)
      try fixture.send(talk.packet(.opening, from: client, to: service), at: .fromNet).expect(.redirect)
      try fixture.send(talk.packet(.answer, from: pod, to: client), at: .fromPod(.pod1)).expect(.redirect)
    }

    func error(
      _ message: ICMPMessage, from source: IPAddress, to destination: IPAddress, about packet: PacketBuilder,
      timeToLive: UInt8, limit: Int? = nil
    ) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: source, to: destination, timeToLive: timeToLive).icmp(message)
        .quoting(packet, limit: limit)
    }
  }

  static let messages: [ICMPMessage] = [
    .unreachable(.port), .unreachable(.prohibited), .tooBig(mtu: 1280), .timeExceeded,
  ]
  static let portedTalks = Conversation.combinations.filter { $0.0.hasPorts }

  /// The pod says of the client's packet that nobody listens: the client hears it from the service, about the service.
  @Test(arguments: portedTalks, messages)
  func podsErrorAboutAServicePacket(combination: (Conversation, AddressFamily), message: ICMPMessage) throws {
    let (talk, family) = combination
    let flow = try Flow(talk, family)
    let error = flow.error(
      message, from: flow.pod.address, to: flow.client.address,
      about: talk.packet(.data, from: flow.client, to: flow.pod), timeToLive: 64)
    let translated = flow.error(
      message, from: flow.service.address, to: flow.client.address,
      about: talk.packet(.data, from: flow.client, to: flow.service), timeToLive: 63)
    let outcome = try flow.fixture.send(error, at: .fromPod(.pod1))
    if talk == .sctp {
      expectSCTP(outcome, translated)
    } else {
      outcome.expect(.redirect, translated)
    }
    #expect(try flow.fixture.counts()["icmp_errors_translated"] == 1)
    #expect(try flow.fixture.halfCounts() == (0, 2), "an error is no flow")
  }

  /// A router on the way says of the pod's packet that it is too big: the pod hears of a packet of its own.
  @Test(arguments: portedTalks, messages)
  func routersErrorAboutAPodsPacket(combination: (Conversation, AddressFamily), message: ICMPMessage) throws {
    let (talk, family) = combination
    let flow = try Flow(talk, family)
    let router = Party.router.address(family)
    let error = flow.error(
      message, from: router, to: flow.service.address, about: talk.packet(.data, from: flow.service, to: flow.client),
      timeToLive: 200)
    let translated = flow.error(
      message, from: router, to: flow.pod.address, about: talk.packet(.data, from: flow.pod, to: flow.client),
      timeToLive: 199)
    let outcome = try flow.fixture.send(error, at: .fromNet)
    if talk == .sctp {
      expectSCTP(outcome, translated)
    } else {
      outcome.expect(.redirect, translated)
    }
    #expect(try flow.fixture.counts()["icmp_errors_translated"] == 1)
  }

  /// A quoted SCTP packet keeps its checksum, which a receiver of the error cannot verify and does not look at.
  private func expectSCTP(_ outcome: Outcome, _ expected: PacketBuilder) {
    #expect(outcome.verdict == .redirect)
    let (actual, wanted) = (outcome.parsed, ParsedPacket(expected.bytes))
    #expect(actual.ip == wanted.ip && actual.icmp == wanted.icmp)
    #expect(actual.inner?.ip == wanted.inner?.ip && actual.inner?.transport == wanted.inner?.transport)
    #expect(actual.problems.filter { !$0.contains("SCTP checksum") } == [])
  }

  /// RFC 792 asks for eight bytes of the quoted packet and no more, in which TCP's checksum is not.
  @Test(arguments: AddressFamily.allCases) func quotationOfEightBytes(family: AddressFamily) throws {
    let flow = try Flow(.tcp, family)
    let limit = (family == .ipv4 ? 20 : 40) + 8
    let error = flow.error(
      .timeExceeded, from: flow.pod.address, to: flow.client.address,
      about: Conversation.tcp.packet(.data, from: flow.client, to: flow.pod), timeToLive: 64, limit: limit)
    let translated = flow.error(
      .timeExceeded, from: flow.service.address, to: flow.client.address,
      about: Conversation.tcp.packet(.data, from: flow.client, to: flow.service), timeToLive: 63, limit: limit)
    try flow.fixture.send(error, at: .fromPod(.pod1)).expect(.redirect, translated)
  }

  /// Errors about what has no translation go as they are.
  @Test(arguments: AddressFamily.allCases) func errorAboutADirectFlow(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (pod, remote) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.remote.address(family), 53)
    )
    try fixture.send(Conversation.udp.packet(.opening, from: pod, to: remote), at: .fromPod(.pod1)).expect(.redirect)
    let quoted = Conversation.udp.packet(.opening, from: pod, to: remote)
    func error(_ timeToLive: UInt8) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: Party.router.address(family), to: pod.address, timeToLive: timeToLive)
        .icmp(.unreachable(.noRoute)).quoting(quoted)
    }
    try fixture.send(error(64), at: .fromNet).expect(.redirect, error(63))
    #expect(try fixture.counts()["icmp_errors_translated"] == nil)
  }

  @Test(arguments: AddressFamily.allCases) func errorAboutAnEcho(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (pod, remote) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.remote.address(family), 40_000)
    )
    let echo = Conversation.echo.packet(.opening, from: pod, to: remote)
    try fixture.send(echo, at: .fromPod(.pod1)).expect(.redirect)
    let error = PacketBuilder().ethernet().ip(from: Party.router.address(family), to: pod.address)
      .icmp(.timeExceeded).quoting(echo)
    #expect(try fixture.send(error, at: .fromNet).verdict == .redirect)
  }

  /// Of two pods that ping with one identifier behind the node's address, the second gets another: what an error quotes
  /// is the second's own message again, with its checksum.
  @Test(arguments: AddressFamily.allCases) func errorAboutAnEchoOfAnotherIdentifier(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.masquerade(family)
    let (pod, node) = (Party.pod2.address(family), Party.node.address(family))
    let (router, remote) = (Party.router.address(family), Party.remote.address(family))
    func echo(_ source: IPAddress, _ identifier: UInt16) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: source, to: remote).icmp(.echoRequest(identifier: identifier, sequence: 1))
        .payload(count: 40)
    }
    try fixture.send(echo(Party.pod1.address(family), 7), at: .fromPod(.pod1)).expect(.redirect)
    try fixture.send(echo(pod, 7), at: .fromPod(.pod2)).expect(.redirect)
    let half = try fixture.half(family == .ipv4 ? .icmp : .icmpv6, EndAddress(pod, 7), EndAddress(remote, 7))
    let identifier = try #require(half?.source.port)
    #expect(identifier != 7)
    func error(_ destination: IPAddress, _ timeToLive: UInt8, about packet: PacketBuilder) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: router, to: destination, timeToLive: timeToLive).icmp(.timeExceeded)
        .quoting(packet)
    }
    try fixture.send(error(node, 64, about: echo(node, identifier)), at: .fromNet)
      .expect(.redirect, error(pod, 63, about: echo(pod, 7)))
  }

  /// About a flow that is not known: a pod's is a lie, the network's may be about the node's own.
  @Test(arguments: AddressFamily.allCases) func errorAboutNoFlow(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (pod, remote) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.remote.address(family), 53)
    )
    func error(_ source: Party, _ destination: Party) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: source.address(family), to: destination.address(family))
        .icmp(.unreachable(.port)).quoting(Conversation.udp.packet(.opening, from: remote, to: pod))
    }
    try fixture.send(error(.pod1, .remote), at: .fromPod(.pod1)).expect(.drop)
    try fixture.send(error(.router, .node), at: .fromNet).expect(.pass, error(.router, .node))
    #expect(try fixture.counts() == ["from_pod": 1, "from_net": 1, "drop_invalid_icmp": 1])
    #expect(try fixture.halfCounts() == (0, 0))
  }

  /// Another pod's error about a flow that is not its own.
  @Test(arguments: AddressFamily.allCases) func errorAboutAnotherPodsFlow(family: AddressFamily) throws {
    let flow = try Flow(.udp, family)
    let error = flow.error(
      .unreachable(.port), from: Party.pod2.address(family), to: flow.client.address,
      about: Conversation.udp.packet(.data, from: flow.client, to: flow.pod), timeToLive: 64)
    try flow.fixture.send(error, at: .fromPod(.pod2)).expect(.drop)
    #expect(try flow.fixture.counts()["drop_invalid_icmp"] == 1)
  }

  /// An error that quotes too little, or what cannot be quoted.
  @Test(arguments: AddressFamily.allCases) func quotationCutShort(family: AddressFamily) throws {
    let flow = try Flow(.tcp, family)
    let quoted = Conversation.tcp.packet(.data, from: flow.client, to: flow.pod)
    for limit in 0..<(family == .ipv4 ? 20 : 40) + 4 {
      let error = flow.error(
        .unreachable(.port), from: flow.pod.address, to: flow.client.address, about: quoted, timeToLive: 64,
        limit: limit)
      #expect(try flow.fixture.send(error, at: .fromPod(.pod1)).verdict == .drop, "\(limit) bytes quoted")
    }
  }
}
