import BPF
import BPFTesting
import CBPF
import Dispatch
import MartletDataPlane
import MartletNetworking
import Synchronization
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

  /// A datagram of two pieces from a host outside to pod 2.
  private func pieces(
    from sourcePort: UInt16 = 40_000, to port: UInt16 = 8080, _ family: AddressFamily, timeToLive: UInt8 = 64
  ) -> [[UInt8]] {
    PacketBuilder().ethernet()
      .ip(from: Party.remote.address(family), to: Party.pod2.address(family), timeToLive: timeToLive)
      .udp(from: sourcePort, to: port).payload(count: 150).fragments(ofAtMost: 104, identification: 77)
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

  /// A pod knows addresses and identifications of others' datagrams, perhaps, and would have its pieces among theirs.
  @Test(arguments: AddressFamily.allCases) func `Of a forged piece nothing is kept`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (forged, sent, arriving) = (pieces(from: 1, to: 2, family), pieces(family), pieces(family, timeToLive: 63))
    try fixture.send(forged[1], at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.fragmentedDatagrams().isEmpty)
    #expect(try fixture.send(sent[0], at: .fromNet).verdict == .redirect)
    try fixture.send(forged[0], at: .fromPod(.pod1)).expect(.drop)
    let outcome = try fixture.send(sent[1], at: .fromNet)
    #expect(outcome.verdict == .redirect)
    #expect(PacketDifference(expected: arriving[1], actual: outcome.packet) == nil)
    #expect(
      try fixture.counts() == ["from_pod": 2, "from_net": 2, "flows_created": 1, "drop_source_address": 2])
  }

  /// A pod may have pieces of multicast from addresses that nobody has told the node: they are its own link's.
  @Test func piecesOnThePodsOwnLink() throws {
    let fixture = try DatapathFixture()
    let own = IPPrefix(Party.pod1.address(.ipv6), length: 128)
    try fixture.policy.allow(.pod1, at: fixture.interface(at: .fromPod(.pod1)), from: own)
    let pieces = PacketBuilder().ethernet()
      .ip(from: IPAddress(high: 0xfe80_0000_0000_0000, low: 5), to: IPAddress(high: 0xff02_0000_0000_0000, low: 0xfb))
      .udp(from: 5353, to: 5353).payload(count: 150).fragments(ofAtMost: 104)
    for piece in pieces { try fixture.send(piece, at: .fromPod(.pod1)).expect(.pass) }
  }

  @Test(arguments: AddressFamily.allCases)
  func `What comes by another interface is of another datagram`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    // Pod 1 may send from that address as well.
    let address = Party.remote.address(family)
    try fixture.policy.allow(
      .pod1, at: fixture.interface(at: .fromPod(.pod1)), from: IPPrefix(address, length: family == .ipv4 ? 32 : 128))
    let sent = pieces(family)
    #expect(try fixture.send(sent[0], at: .fromNet).verdict == .redirect)
    try fixture.send(sent[1], at: .fromPod(.pod1)).expect(.drop)
    #expect(try fixture.counts()["fragments_held"] == 1)
    // Nor does the one that waits there go on with this one.
    #expect(try fixture.send(sent[0], at: .fromNet).verdict == .redirect)
    #expect(try fixture.fragmentedDatagrams().map(\.held).sorted() == [0, 1])
    #expect(try fixture.send(sent[1], at: .fromNet).verdict == .redirect)
  }

  /// After 30 seconds the identification may be another datagram's, as the kernel has it.
  @Test(arguments: AddressFamily.allCases) func whatHasTakenTooLongIsForgotten(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let sent = pieces(family)
    #expect(try fixture.send(sent[0], at: .fromNet).verdict == .redirect)
    try fixture.ageFragments(by: .seconds(29))
    #expect(try fixture.send(sent[1], at: .fromNet).verdict == .redirect)
    #expect(try fixture.send(sent[0], at: .fromNet).verdict == .redirect)
    try fixture.ageFragments(by: .seconds(31))
    try fixture.send(sent[1], at: .fromNet).expect(.drop)
    #expect(try fixture.fragmentedDatagrams().map(\.held) == [1])
    try fixture.ageFragments(by: .seconds(31))
    try fixture.send(sent[1], at: .fromNet).expect(.drop)
    #expect(try fixture.fragmentedDatagrams().map(\.held) == [1], "the one from before does not count")
    try fixture.ageFragments(by: .seconds(31))
    #expect(try fixture.send(sent[0], at: .fromNet).verdict == .redirect)
    #expect(try fixture.fragmentedDatagrams().map(\.held) == [0])
    #expect(try fixture.counts()["fragments_held"] == 2)
  }

  /// First and second piece at once on two processors: whoever of them is earlier, the second is not left waiting.
  @Test func piecesOnTwoProcessors() throws {
    let rounds = 500
    let fixture = try DatapathFixture(DatapathFixture.Options())
    let held = try fixture.datapath.programs.mapDescriptor(named: "held_fragments")
    let arrived = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 2) { which in
      let packets = (0..<rounds).map {
        PacketBuilder().ethernet().ip(from: Party.remote.address(.ipv4), to: Party.pod2.address(.ipv4))
          .udp(from: 40_000, to: 53).payload(count: 150).fragments(ofAtMost: 104, identification: UInt32($0 + 1))[which]
      }
      let context = SocketBufferContext(mark: 0, ingressInterface: 0, interface: fixture.interface(at: .fromNet).index)
      try? fixture.node.run {
        let program = try fixture.program(at: .fromNet)
        for round in 0..<rounds {
          arrived.add(1, ordering: .sequentiallyConsistent)
          while arrived.load(ordering: .sequentiallyConsistent) < 2 * (round + 1) {}
          _ = try program.testRun(packets[round], context: context)
        }
      }
    }
    var waiting = 0
    try LRUHashMap<HeldKey, HeldFragment>(held).forEach { _, _ throws(BPFError) in waiting += 1 }
    #expect(waiting == 0)
  }

  /// Nobody answers a later piece (RFC 1122 3.2.2): it has no ports by which the sender would know what is meant.
  @Test(arguments: AddressFamily.allCases, [true, false])
  func refusedInPieces(family: AddressFamily, byTCP: Bool) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, byTCP ? .tcp : .udp, family, by: [])
    let network = PacketBuilder().ethernet().ip(from: Party.pod1.address(family), to: Party.service.address(family))
    let transport = byTCP ? network.tcp(from: 40_000, to: 80, flags: .syn) : network.udp(from: 40_000, to: 80)
    let pieces = transport.payload(count: 250).fragments(ofAtMost: 104)
    try fixture.send(pieces[0], at: .fromPod(.pod1)).expect(.redirect)
    for piece in pieces.dropFirst() { try fixture.send(piece, at: .fromPod(.pod1)).expect(.drop) }
    #expect(
      try fixture.counts() == [
        "from_pod": UInt64(pieces.count), "refused": 1, "drop_refused_fragment": UInt64(pieces.count - 1),
      ])
  }

  /// The next datagram of that identification may come in another order, and have other ports.
  @Test(arguments: AddressFamily.allCases) func whatIsCompleteIsForgotten(family: AddressFamily) throws {
    let datagram = try Datagram(family)
    for order in [[0, 1, 2], [0, 2, 1]] {
      for index in order { datagram.expectArrival(index, try datagram.send(index)) }
      #expect(try datagram.fixture.fragmentedDatagrams().isEmpty)
      #expect(try datagram.send(1).verdict == .drop)
      #expect(try datagram.fixture.fragmentedDatagrams().map(\.held) == [1])
    }
    #expect(try datagram.fixture.counts()["fragments_held"] == 2)
  }

  /// They are the answer's that the first belongs to, or the question's.
  @Test(arguments: AddressFamily.allCases) func echoInPieces(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (client, server) = (Party.pod1.address(family), Party.pod2.address(family))
    func pieces(_ message: ICMPMessage, from source: IPAddress, to destination: IPAddress) -> [[UInt8]] {
      PacketBuilder().ethernet().ip(from: source, to: destination).icmp(message).payload(count: 300)
        .fragments(ofAtMost: 120, identification: 79)
    }
    for piece in pieces(.echoRequest(identifier: 7, sequence: 1), from: client, to: server) {
      try fixture.send(piece, at: .fromPod(.pod1)).expect(.redirect)
    }
    for piece in pieces(.echoReply(identifier: 7, sequence: 1), from: server, to: client) {
      try fixture.send(piece, at: .fromPod(.pod2)).expect(.redirect)
    }
    #expect(try fixture.counts() == ["from_pod": 6, "flows_created": 1])
  }

  /// What is cut up may begin with options, and then only the first piece says which protocol it is of.
  @Test(arguments: [[0, 1, 2], [2, 1, 0]]) func optionsInsideTheFragments(order: [Int]) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, .udp, .ipv6, by: [(.pod2, 8080)])
    func pieces(to server: Party, _ port: UInt16, timeToLive: UInt8 = 64) -> [[UInt8]] {
      PacketBuilder().ethernet()
        .ip(from: Party.pod1.address(.ipv6), to: server.address(.ipv6), timeToLive: timeToLive)
        .destinationOptions().udp(from: 40_000, to: port).payload(count: 300)
        .fragments(ofAtMost: 120, identification: 78)
    }
    let (sent, arriving) = (pieces(to: .service, 80), pieces(to: .pod2, 8080, timeToLive: 63))
    try #require(sent.count == 3)
    for index in order {
      let outcome = try fixture.send(sent[index], at: .fromPod(.pod1))
      guard index == 0 || order[0] == 0 else { continue }
      #expect(outcome.verdict == .redirect, "fragment \(index)")
      #expect(PacketDifference(expected: arriving[index], actual: outcome.packet) == nil, "fragment \(index)")
    }
    #expect(try fixture.halfCounts() == (0, 2), "one flow")
    #expect(try fixture.counts()["fragments_held"] ?? 0 == (order[0] == 0 ? 0 : 2))
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

/// As `struct held_fragment_key` and `struct held_fragment` of the datapath, which nobody else looks at.
private struct HeldKey {
  var datagram = fragment_key()
  var number: UInt32 = 0
  var reserved: UInt32 = 0
}

private struct HeldFragment {
  var begun: UInt64 = 0
  var length: UInt32 = 0
  var reserved: UInt32 = 0
  var bytes = InlineArray<1520, UInt8>(repeating: 0)
}

extension DatapathFixture {
  /// What is remembered of datagrams that are not complete yet.
  fileprivate func fragmentedDatagrams() throws -> [fragmented_datagram] {
    var found: [fragmented_datagram] = []
    try datapath.fragments.forEach { _, datagram throws(BPFError) in found.append(datagram) }
    return found
  }

  /// Makes them all older.
  fileprivate func ageFragments(by age: Duration) throws {
    let ticks = UInt64(age / .nanoseconds(1)) / (try KernelTick.shared().nanoseconds)
    var aged: [(fragment_key, fragmented_datagram)] = []
    try datapath.fragments.forEach { key, datagram throws(BPFError) in aged.append((key, datagram)) }
    for (key, var datagram) in aged {
      datagram.begun -= ticks
      try datapath.fragments.set(key, datagram)
    }
  }
}
