import BPF
import BPFTesting
import Glibc
import MartletNetworking
import Testing

/// Idle flows end by themselves, both halves at once, and nothing else with them.
///
/// These tests block their threads on purpose: a suspended task goes on when the other tests let it, which may be later
/// than the flow lives.
@Suite(.requiresBPF) struct FlowExpiryTests {
  private func fixture(established: Duration, closed: Duration = .milliseconds(100)) throws -> DatapathFixture {
    var options = DatapathFixture.Options()
    options.timeouts = FlowTimeouts(
      new: .milliseconds(150), replied: .milliseconds(150), established: established, closing: established,
      closed: closed)
    let fixture = try DatapathFixture(options)
    for family in AddressFamily.allCases { try fixture.serve(at: .service, 80, .tcp, family, by: [(.pod2, 8080)]) }
    return fixture
  }

  private struct Ends {
    var client: EndAddress
    var service: EndAddress
    var server: EndAddress

    init(_ family: AddressFamily, port: UInt16) {
      client = EndAddress(Party.pod1.address(family), port)
      service = EndAddress(Party.service.address(family), 80)
      server = EndAddress(Party.pod2.address(family), 8080)
    }
  }

  private func open(_ ends: Ends, _ fixture: DatapathFixture) throws {
    let talk = Conversation.tcp
    try fixture.send(talk.packet(.opening, from: ends.client, to: ends.service), at: .fromPod(.pod1)).expect(.redirect)
    try fixture.send(talk.packet(.answer, from: ends.server, to: ends.client), at: .fromPod(.pod2)).expect(.redirect)
    try fixture.send(talk.packet(.confirmation, from: ends.client, to: ends.service), at: .fromPod(.pod1))
      .expect(.redirect)
  }

  private func halves(_ ends: Ends, _ fixture: DatapathFixture) throws -> Int {
    [try fixture.half(.tcp, ends.client, ends.service), try fixture.half(.tcp, ends.server, ends.client)]
      .compactMap(\.self).count
  }

  /// Waits until `condition` holds, for three seconds at most.
  private func wait(_ fixture: DatapathFixture, until condition: () throws -> Bool) throws {
    for _ in 0..<150 {
      try fixture.expire()
      if try condition() { return }
      usleep(20_000)
    }
    Issue.record("it has not come about in three seconds")
  }

  @Test(arguments: AddressFamily.allCases) func idleFlowExpiresWithBothHalves(family: AddressFamily) throws {
    let fixture = try fixture(established: .milliseconds(300))
    let ends = Ends(family, port: 40_000)
    try open(ends, fixture)
    #expect(try halves(ends, fixture) == 2)
    try wait(fixture) { try halves(ends, fixture) == 0 }
    #expect(try fixture.halfCounts() == (0, 0))
    #expect(try fixture.counts()["flows_expired"] == 1)
  }

  @Test func oneSideKeepsTheFlowAlive() throws {
    let fixture = try fixture(established: .seconds(1))
    let (busy, idle) = (Ends(.ipv4, port: 40_000), Ends(.ipv4, port: 40_001))
    try open(busy, fixture)
    try open(idle, fixture)
    // Only the answerer speaks: the opener's half is idle for long.
    for _ in 0..<24 {
      let data = Conversation.tcp.packet(.data, from: busy.server, to: busy.client)
      try fixture.send(data, at: .fromPod(.pod2)).expect(.redirect)
      usleep(100_000)
      try fixture.expire()
    }
    #expect(try halves(busy, fixture) == 2)
    #expect(try halves(idle, fixture) == 0, "the flow beside it has expired all the same")
    #expect(try fixture.counts()["flows_expired"] == 1)
  }

  @Test func closedFlowExpiresSooner() throws {
    let fixture = try fixture(established: .seconds(600))
    let (closed, open) = (Ends(.ipv6, port: 40_000), Ends(.ipv6, port: 40_001))
    try self.open(closed, fixture)
    try self.open(open, fixture)
    for (from, to, place) in [
      (closed.client, closed.service, Place.fromPod(.pod1)), (closed.server, closed.client, .fromPod(.pod2)),
    ] {
      let fin = PacketBuilder().ethernet().ip(from: from.address, to: to.address)
        .tcp(from: from.port, to: to.port, flags: [.fin, .ack], sequence: 1000)
      try fixture.send(fin, at: place).expect(.redirect)
    }
    try wait(fixture) { try halves(closed, fixture) == 0 }
    #expect(try halves(open, fixture) == 2)
  }

  /// Nobody looks after unconfirmed flows: the next packet finds them too old.
  @Test func unconfirmedFlowIsTooOld() throws {
    let fixture = try fixture(established: .seconds(600))
    let ends = Ends(.ipv4, port: 40_000)
    let opening = Conversation.tcp.packet(.opening, from: ends.client, to: ends.service)
    try fixture.send(opening, at: .fromPod(.pod1)).expect(.redirect)
    usleep(400_000)
    try fixture.send(opening, at: .fromPod(.pod1)).expect(.redirect)
    #expect(try fixture.counts()["flows_created"] == 2)
    #expect(try fixture.halfCounts() == (0, 2))
  }

  /// Without an agent, new flows look after old ones.
  @Test func newFlowsLookAtThoseThatAreDue() throws {
    let fixture = try fixture(established: .milliseconds(100))
    try open(Ends(.ipv4, port: 40_000), fixture)
    usleep(300_000)
    let opening = Ends(.ipv4, port: 40_001)
    try fixture.send(Conversation.tcp.packet(.opening, from: opening.client, to: opening.service), at: .fromPod(.pod1))
      .expect(.redirect)
    #expect(try halves(Ends(.ipv4, port: 40_000), fixture) == 0)
    #expect(try fixture.counts()["flows_expired"] == 1)
  }

  /// A flow needs no memory that the kernel might not have at that moment.
  @Test func everyFlowIsConfirmed() throws {
    let fixture = try fixture(established: .seconds(600))
    for port in UInt16(30_000)..<30_400 { try open(Ends(.ipv4, port: port), fixture) }
    #expect(try fixture.counts()["flows_unconfirmable"] ?? 0 == 0)
    #expect(try fixture.counts()["flows_confirmed"] == 400)
  }
}
