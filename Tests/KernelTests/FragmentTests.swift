import BPF
import BPFTesting
import MartletNetworking
import Testing

/// Datagrams that arrive in pieces.
@Suite(.requiresBPF) struct FragmentTests {
  private struct Datagram {
    let fixture: DatapathFixture
    let sent: [[UInt8]]
    let arriving: [[UInt8]]

    init(_ family: AddressFamily) throws {
      fixture = try DatapathFixture()
      try fixture.serve(at: .service, 80, .udp, family, by: [(.pod2, 8080)])
      let (client, service, pod) = (
        Party.pod1.address(family), Party.service.address(family), Party.pod2.address(family)
      )
      sent = PacketBuilder().ethernet().ip(from: client, to: service)
        .udp(from: 40_000, to: 80).payload(count: 300).fragments(ofAtMost: 104, identification: 77)
      arriving = PacketBuilder().ethernet().ip(from: client, to: pod, timeToLive: 63)
        .udp(from: 40_000, to: 8080).payload(count: 300).fragments(ofAtMost: 104, identification: 77)
    }

    func send(_ index: Int) throws -> Outcome { try fixture.send(sent[index], at: .fromPod(.pod1)) }

    func expectArrival(_ index: Int, _ outcome: Outcome) {
      #expect(outcome.verdict == .redirect, "fragment \(index)")
      #expect(PacketDifference(expected: arriving[index], actual: outcome.packet) == nil, "fragment \(index)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func everyPieceIsTranslatedAlike(family: AddressFamily) throws {
    let datagram = try Datagram(family)
    #expect(datagram.sent.count == 3)
    for index in datagram.sent.indices { datagram.expectArrival(index, try datagram.send(index)) }
    #expect(try datagram.fixture.halfCounts() == (0, 2), "one flow")
    #expect(try datagram.fixture.counts() == ["from_pod": 3, "flows_created": 1])
  }

  /// The pieces of an answer come back from the service's address.
  @Test(arguments: AddressFamily.allCases) func answerInPieces(family: AddressFamily) throws {
    let datagram = try Datagram(family)
    for index in datagram.sent.indices { _ = try datagram.send(index) }
    let (client, service, pod) = (
      Party.pod1.address(family), Party.service.address(family), Party.pod2.address(family)
    )
    func pieces(_ source: IPAddress, _ port: UInt16, _ timeToLive: UInt8) -> [[UInt8]] {
      PacketBuilder().ethernet().ip(from: source, to: client, timeToLive: timeToLive)
        .udp(from: port, to: 40_000).payload(count: 250).fragments(ofAtMost: 128, identification: 5)
    }
    for (sent, arriving) in zip(pieces(pod, 8080, 64), pieces(service, 80, 63)) {
      let outcome = try datagram.fixture.send(sent, at: .fromPod(.pod2))
      #expect(outcome.verdict == .redirect)
      #expect(PacketDifference(expected: arriving, actual: outcome.packet) == nil)
    }
  }

  /// Nothing is known of its ports, so it must not pass; it is kept until the first is here.
  @Test(arguments: AddressFamily.allCases) func laterPieceWithoutTheFirst(family: AddressFamily) throws {
    let datagram = try Datagram(family)
    #expect(try datagram.send(1).verdict == .drop)
    #expect(try datagram.send(2).verdict == .drop)
    #expect(try datagram.fixture.counts() == ["from_pod": 2, "fragments_held": 2])
    #expect(try datagram.fixture.halfCounts() == (0, 0))
    // Those that were kept have gone on behind it; those that come now go on at once.
    for index in [0, 2, 1] { datagram.expectArrival(index, try datagram.send(index)) }
  }

  @Test(arguments: AddressFamily.allCases) func piecesOfAnotherDatagram(family: AddressFamily) throws {
    let datagram = try Datagram(family)
    _ = try datagram.send(0)
    let other = PacketBuilder().ethernet().ip(from: Party.pod1.address(family), to: Party.service.address(family))
      .udp(from: 40_000, to: 80).payload(count: 300).fragments(ofAtMost: 104, identification: 78)
    #expect(try datagram.fixture.send(other[1], at: .fromPod(.pod1)).verdict == .drop)
    #expect(try datagram.fixture.counts()["fragments_held"] == 1)
  }

  /// "Fragments" that are whole datagrams (RFC 6946) need nobody to remember them.
  @Test func atomicFragment() throws {
    let fixture = try DatapathFixture()
    let (client, pod) = (Party.pod1.address(.ipv6), Party.pod2.address(.ipv6))
    let whole = IPFragment(offset: 0, moreFollow: false, identification: 9)
    let packet = PacketBuilder().ethernet().ip(from: client, to: pod, fragment: whole)
      .udp(from: 40_000, to: 80).payload(count: 20)
    #expect(try fixture.send(packet, at: .fromPod(.pod1)).verdict == .redirect)
    #expect(try fixture.half(.udp, EndAddress(client, 40_000), EndAddress(pod, 80)) != nil)
  }
}
