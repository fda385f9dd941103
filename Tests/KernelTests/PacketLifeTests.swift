import BPF
import BPFTesting
import MartletNetworking
import Testing

/// Packets followed from the hook that first sees them to the last, there and back.
@Suite(.requiresBPF) struct PacketLifeTests {
  @Test(arguments: Path.services) func serviceTranslates(path: Path) throws {
    let fixture = try DatapathFixture()
    for (talk, family) in Conversation.combinations where talk.hasPorts {
      try Life(path: path, talk: talk, family: family, fixture: fixture).run()
    }
  }

  @Test(arguments: Path.direct) func directTrafficIsForwardedUntranslated(path: Path) throws {
    let fixture = try DatapathFixture()
    for (talk, family) in Conversation.combinations {
      try Life(path: path, talk: talk, family: family, fixture: fixture).run()
    }
  }

  /// The flow's first packet is sent by the kernel's neighbour code; the next one has its link addresses from the flow.
  @Test(arguments: AddressFamily.allCases) func nextHopIsCachedInTheFlow(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (pod, remote) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.remote.address(family), 53)
    )
    let packet = Conversation.udp.packet(.opening, from: pod, to: remote)
    let first = try fixture.send(packet, at: .fromPod(.pod1))
    #expect(first.parsed.ethernet == ParsedPacket(packet.bytes).ethernet)
    // The cache lasts for a second at most, so one packet in between may find it expired.
    let later = try (0..<3).map { _ in try fixture.send(packet, at: .fromPod(.pod1)).parsed.ethernet }
    let routed = later.filter {
      $0?.destination == fixture.datapath.routerMAC && $0?.source == fixture.datapath.network.mac
    }
    #expect(routed.count >= 2)
    var settings = try #require(try fixture.datapath.settings.get(0))
    settings.route_generation += 1000
    try fixture.datapath.settings.set(0, settings)
    let afterChange = try fixture.send(packet, at: .fromPod(.pod1))
    #expect(afterChange.parsed.ethernet == first.parsed.ethernet, "a change of routes asks the kernel again")
    #expect(first.isDecided && afterChange.isDecided)
  }

  /// Two flows from one address and port to one pod, one of them through a service: their replies must be told apart.
  @Test(arguments: Conversation.combinations.filter { $0.0.hasPorts })
  func collidingSourcePortIsReplaced(talk: Conversation, family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, talk.number(family), family, by: [(.pod2, 8080)])
    let client = EndAddress(Party.pod1.address(family), 40_000)
    let (pod, service) = (
      EndAddress(Party.pod2.address(family), 8080), EndAddress(Party.service.address(family), 80)
    )
    let direct = try fixture.send(talk.packet(.opening, from: client, to: pod), at: .fromPod(.pod1))
    direct.expect(.redirect, talk.packet(.opening, from: client, to: pod, timeToLive: 63))
    let translated = try fixture.send(talk.packet(.opening, from: client, to: service), at: .fromPod(.pod1))
    let port = try #require(translated.parsed.sourcePort)
    #expect(port != 40_000 && port >= 1024)
    let seen = EndAddress(client.address, port)
    translated.expect(.redirect, talk.packet(.opening, from: seen, to: pod, timeToLive: 63))
    for (asked, seenByPod) in [(service, seen), (pod, client)] {
      let reply = try fixture.send(talk.packet(.answer, from: pod, to: seenByPod), at: .fromPod(.pod2))
      reply.expect(.redirect, talk.packet(.answer, from: asked, to: client, timeToLive: 63))
    }
  }
}

/// One conversation along one path.
private struct Life {
  let path: Path
  let talk: Conversation
  let family: AddressFamily
  let fixture: DatapathFixture

  /// What a socket of the path is in this conversation: echoes have one identifier in place of both ports.
  private func socket(_ end: Path.End) -> EndAddress {
    talk.hasPorts ? end.socket(family) : EndAddress(end.party.address(family), path.opener.port)
  }

  func run() throws {
    try fixture.forgetTraffic()
    try path.prepare(fixture, talk.number(family), family)
    let first = try pass(.opening, path.there, path.opener, path.asked, as: path.seen, path.server)
    try expectHalves(isConfirmed: false, state: .new, packets: (1, 0), bytes: (first, 0))
    let second = try pass(.answer, path.back, path.server, path.seen, as: path.asked, path.opener)
    try expectHalves(isConfirmed: false, state: .replied, packets: (1, 1), bytes: (first, second))
    let third = try pass(.confirmation, path.there, path.opener, path.asked, as: path.seen, path.server)
    try expectHalves(
      isConfirmed: true, state: .established, packets: (2, 1), bytes: (first + third, second))
    let turn: Conversation.Turn = talk.hasPorts ? .data : .answer
    let fourth = try pass(turn, path.back, path.server, path.seen, as: path.asked, path.opener)
    try expectHalves(
      isConfirmed: true, state: .established, packets: (2, 2), bytes: (first + third, second + fourth))
    try expectCounters()
  }

  /// Sends a packet from one end to the other and follows it; returns its length from the network header on.
  private func pass(
    _ turn: Conversation.Turn, _ leg: Path.Leg, _ source: Path.End, _ destination: Path.End, as seenSource: Path.End,
    _ seenDestination: Path.End
  ) throws -> UInt64 {
    let sent = talk.packet(turn, from: socket(source), to: socket(destination))
    let arrives = talk.packet(
      turn, from: socket(seenSource), to: socket(seenDestination), timeToLive: leg.losesHop ? 63 : 64)
    var outcome = try fixture.send(sent, at: leg.first)
    outcome.expect(leg.verdict, arrives, "\(talk) \(family) \(turn) at \(leg.first)")
    for place in leg.later {
      let before = outcome.packet
      outcome = try fixture.send(before, at: place, mark: outcome.mark)
      #expect(outcome.verdict == .pass, "\(talk) \(family) \(turn) at \(place)")
      #expect(outcome.packet == before, "\(talk) \(family) \(turn) is left alone at \(place)")
    }
    return UInt64(sent.bytes.count - 14)
  }

  private func expectHalves(
    isConfirmed: Bool, state: FlowHalf.State, packets: (UInt64, UInt64), bytes: (UInt64, UInt64)
  ) throws {
    let number = talk.number(family)
    let there = try #require(try fixture.half(number, socket(path.opener), socket(path.asked)))
    let back = try #require(try fixture.half(number, socket(path.server), socket(path.seen)))
    #expect(there.source == socket(path.seen) && there.destination == socket(path.server))
    #expect(back.source == socket(path.asked) && back.destination == socket(path.opener))
    #expect((there.isConfirmed, back.isConfirmed) == (isConfirmed, isConfirmed))
    #expect((there.state, back.state) == (state, state))
    #expect((there.packets, back.packets) == packets)
    #expect((there.bytes, back.bytes) == bytes)
    #expect((there.service, back.service) == (service, service))
    #expect(there.endpoint == DatapathFixture.slot(path.server.party))
    #expect(back.endpoint == DatapathFixture.slot(path.opener.party))
    #expect(there.input == fixture.input(path.opener.party))
    #expect(back.input == fixture.input(path.server.party))
    #expect(there.flags == flags.there)
    #expect(back.flags == flags.back)
    let count = try fixture.halfCounts()
    #expect(count == (isConfirmed ? (2, 0) : (0, 2)))
  }

  private var service: UInt32 { path.isService ? DatapathFixture.service : 0 }

  private var flags: (there: FlowHalf.Flags, back: FlowHalf.Flags) {
    var (there, back): (FlowHalf.Flags, FlowHalf.Flags) = ([.opener], [])
    if path.isService {
      there.insert(.rewriteDestination)
      back.insert(.rewriteSource)
    }
    if path.seen.party != path.opener.party {
      there.insert(.rewriteSource)
      back.insert(.rewriteDestination)
    }
    if path.server.party == .node { there.insert(.toHost) }
    if path.opener.party == .node {
      there.insert(.fromHost)
      back.insert(.toHost)
    }
    return (there, back)
  }

  private func expectCounters() throws {
    var expected: [String: UInt64] = ["flows_created": 1, "flows_confirmed": 1]
    expected[path.there.first.program, default: 0] += 2
    expected[path.back.first.program, default: 0] += 2
    #expect(try fixture.counts() == expected)
  }
}
