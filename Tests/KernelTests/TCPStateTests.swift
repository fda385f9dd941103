import BPF
import BPFTesting
import MartletNetworking
import Testing

/// What segments do to a connection's flow.
@Suite(.requiresBPF) struct TCPStateTests {
  /// A connection of pod 1 to pod 2 through a service, seen from both ends.
  private struct Connection {
    let fixture: DatapathFixture
    let family: AddressFamily

    init(_ family: AddressFamily, _ fixture: DatapathFixture) throws {
      (self.family, self.fixture) = (family, fixture)
      try fixture.serve(at: .service, 80, .tcp, family, by: [(.pod2, 8080)])
    }

    init(_ family: AddressFamily) throws { try self.init(family, try DatapathFixture()) }

    var client: EndAddress { EndAddress(Party.pod1.address(family), 40_000) }
    var service: EndAddress { EndAddress(Party.service.address(family), 80) }
    var server: EndAddress { EndAddress(Party.pod2.address(family), 8080) }

    /// The opener sends, and where that ends.
    @discardableResult
    func opener(_ flags: TCPFlags, sequence: UInt32, payload: Int = 0) throws -> Outcome.Verdict {
      let packet = PacketBuilder().ethernet().ip(from: client.address, to: service.address)
        .tcp(from: client.port, to: service.port, flags: flags, sequence: sequence).payload(count: payload)
      return try fixture.send(packet, at: .fromPod(.pod1)).verdict
    }

    /// The other end sends.
    @discardableResult
    func answerer(_ flags: TCPFlags, sequence: UInt32, payload: Int = 0) throws -> Outcome.Verdict {
      let packet = PacketBuilder().ethernet().ip(from: server.address, to: client.address)
        .tcp(from: server.port, to: client.port, flags: flags, sequence: sequence).payload(count: payload)
      return try fixture.send(packet, at: .fromPod(.pod2)).verdict
    }

    func open(sequence: UInt32 = 1000) throws {
      try opener(.syn, sequence: sequence)
      try answerer([.syn, .ack], sequence: 5000)
      try opener(.ack, sequence: sequence &+ 1)
    }

    var halves: [FlowHalf] {
      get throws {
        [try fixture.half(.tcp, client, service), try fixture.half(.tcp, server, client)].compactMap(\.self)
      }
    }

    /// The state of both halves, if there are both and they agree.
    var state: FlowHalf.State? {
      get throws {
        let states = try halves.map(\.state)
        return states.count == 2 && states[0] == states[1] ? states[0] : nil
      }
    }

    var isConfirmed: Bool { get throws { try halves.allSatisfy(\.isConfirmed) } }
  }

  @Test(arguments: AddressFamily.allCases) func handshakeConfirms(family: AddressFamily) throws {
    let connection = try Connection(family)
    try connection.opener(.syn, sequence: 1000)
    #expect(try connection.state == .new)
    try connection.opener(.syn, sequence: 1000)
    #expect(try connection.state == .new, "a SYN that is sent again changes nothing")
    try connection.answerer([.syn, .ack], sequence: 5000)
    #expect(try connection.state == .replied)
    try connection.opener(.syn, sequence: 1000)
    #expect(try connection.isConfirmed == false, "the opener has not heard the answer")
    try connection.opener(.ack, sequence: 1001)
    #expect(try connection.state == .established)
    #expect(try connection.isConfirmed)
    #expect(try connection.fixture.halfCounts() == (2, 0), "the halves have moved")
  }

  @Test(arguments: [true, false]) func bothSidesFinishing(openerFirst: Bool) throws {
    let connection = try Connection(.ipv4)
    try connection.open()
    let openerFinishes = { try connection.opener([.fin, .ack], sequence: 1001) }
    let answererFinishes = { try connection.answerer([.fin, .ack], sequence: 5001) }
    #expect(try (openerFirst ? openerFinishes : answererFinishes)() == .redirect)
    #expect(try connection.state == .closing)
    #expect(try connection.halves.map { $0.flags.contains(.fin) } == [openerFirst, !openerFirst])
    #expect(try (openerFirst ? openerFinishes : answererFinishes)() == .redirect)
    #expect(try connection.state == .closing, "the same FIN again is not the other side's")
    #expect(try (openerFirst ? answererFinishes : openerFinishes)() == .redirect)
    #expect(try connection.state == .closed)
    #expect(try (openerFirst ? connection.opener : connection.answerer)(.ack, 1002, 0) == .redirect)
    #expect(try connection.state == .closed, "the last ACK still passes")
  }

  /// Also where the first sequence number is in the upper half of its range.
  @Test(arguments: [UInt32(1000), 0x8000_0000, 0xffff_fff0]) func plausibleResetCloses(first: UInt32) throws {
    let connection = try Connection(.ipv6)
    try connection.open(sequence: first)
    try connection.opener([.psh, .ack], sequence: first &+ 1, payload: 100)
    #expect(try connection.opener(.rst, sequence: first &+ 101) == .redirect)
    #expect(try connection.state == .closed)
  }

  @Test(arguments: [UInt32(1000), 0x8000_0000, 0xffff_fff0]) func implausibleEndChangesNothing(first: UInt32) throws {
    let connection = try Connection(.ipv4)
    try connection.open(sequence: first)
    // The receiver will ignore them, and so must we: a second one is no likelier than the first.
    for flags in [TCPFlags.rst, [.fin, .ack]] {
      for sequence in [first &+ 0x4000_0000, first &+ 0x4000_0000, first &- 0x4000_0000, first &- 0x4000_0000] {
        #expect(try connection.opener(flags, sequence: sequence) == .redirect)
        #expect(try connection.state == .established)
      }
    }
  }

  @Test func resetAnswersOpening() throws {
    let connection = try Connection(.ipv4)
    try connection.opener(.syn, sequence: 1000)
    #expect(try connection.answerer([.rst, .ack], sequence: 0) == .redirect)
    #expect(try connection.state == .closed)
    #expect(try connection.isConfirmed == false)
  }

  @Test(arguments: AddressFamily.allCases) func openingOnTheTupleOfAClosedConnection(family: AddressFamily) throws {
    let connection = try Connection(family)
    try connection.open()
    try connection.opener(.rst, sequence: 1001)
    #expect(try connection.opener(.syn, sequence: 900_000) == .redirect)
    #expect(try connection.state == .new, "it is a connection of its own")
    #expect(try connection.isConfirmed == false)
    #expect(try connection.fixture.counts()["flows_created"] == 2)
    try connection.answerer([.syn, .ack], sequence: 5000)
    try connection.opener(.ack, sequence: 900_001)
    #expect(try connection.state == .established)
    #expect(try connection.fixture.halfCounts() == (2, 0))
  }

  @Test(arguments: [TCPFlags.ack, [.psh, .ack], [.fin, .ack]]) func middleOfAForgottenServiceConnection(flags: TCPFlags)
    throws
  {
    let connection = try Connection(.ipv4)
    #expect(try connection.opener(flags, sequence: 5) == .drop)
    #expect(try connection.fixture.counts() == ["from_pod": 1, "drop_invalid_tcp_state": 1])
    #expect(try connection.fixture.halfCounts() == (0, 0))
  }

  /// Without a service nothing is lost with the flow, so its middle serves as well as its beginning.
  @Test(arguments: AddressFamily.allCases) func middleOfAForgottenDirectConnection(family: AddressFamily) throws {
    let connection = try Connection(family)
    #expect(try connection.answerer(.ack, sequence: 5) == .redirect)
    #expect(try connection.fixture.halfCounts() == (0, 2))
    #expect(try connection.fixture.half(.tcp, connection.server, connection.client)?.state == .new)
  }

  @Test(arguments: [TCPFlags([.syn, .ack]), .rst, [.rst, .ack]]) func segmentsThatBeginNothing(flags: TCPFlags) throws {
    let connection = try Connection(.ipv6)
    #expect(try connection.answerer(flags, sequence: 5) == .drop)
    #expect(try connection.fixture.counts() == ["from_pod": 1, "drop_invalid_tcp_state": 1])
    #expect(try connection.fixture.halfCounts() == (0, 0))
  }

  /// A full table leaves flows where they are: they work, and are counted.
  @Test func noRoomAmongConfirmedFlows() throws {
    var options = DatapathFixture.Options()
    options.flowCapacity = 1
    let connection = try Connection(.ipv4, try DatapathFixture(options))
    try connection.open()
    #expect(try connection.isConfirmed == false)
    #expect(try connection.opener([.psh, .ack], sequence: 1001, payload: 10) == .redirect)
    #expect(try connection.answerer([.psh, .ack], sequence: 5001, payload: 10) == .redirect)
    #expect(try connection.fixture.counts()["flows_unconfirmable", default: 0] >= 1)
    #expect(try connection.fixture.halfCounts() == (0, 2))
  }

  /// Openings that nobody answers evict each other and never a confirmed flow.
  @Test func floodOfOpenings() throws {
    var options = DatapathFixture.Options()
    options.unconfirmedCapacity = 512
    let connection = try Connection(.ipv4, try DatapathFixture(options))
    try connection.open()
    let flood = (0..<4096).map { number in
      PacketBuilder().ethernet()
        .ip(from: IPAddress(203, 1, UInt8(number >> 8), UInt8(number & 255)), to: Party.pod2.address(.ipv4))
        .tcp(from: UInt16(1024 + number), to: 8080, flags: .syn).bytes
    }
    let verdicts = try connection.fixture.sendAll(flood, at: .fromNet).map(\.verdict)
    #expect(verdicts.allSatisfy { $0 == .redirect })
    #expect(try connection.state == .established)
    #expect(try connection.opener([.psh, .ack], sequence: 1001, payload: 10) == .redirect)
    let counts = try connection.fixture.halfCounts()
    #expect(counts.confirmed == 2 && counts.unconfirmed <= 512)
  }
}
