import BPF
import BPFTesting
import MartletNetworking
import Testing

/// Packets that are cut short or contradict themselves: dropped for that reason, and never taken for something else.
@Suite(.requiresBPF) struct MalformedPacketTests {
  /// A packet, and the reason that it is to be dropped for.
  struct Bad: Sendable, CustomTestStringConvertible {
    var name: String
    var reason: String
    var bytes: [UInt8]
    var testDescription: String { name }

    init(_ name: String, _ reason: String, _ bytes: [UInt8]) {
      (self.name, self.reason, self.bytes) = (name, reason, bytes)
    }
  }

  private static let linkLength = 14

  private static func ends(_ family: AddressFamily) -> (EndAddress, EndAddress) {
    (EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.pod2.address(family), 8080))
  }

  private static func whole(_ talk: Conversation, _ family: AddressFamily) -> [UInt8] {
    let (source, destination) = ends(family)
    return talk.packet(.opening, from: source, to: destination).bytes
  }

  /// An IP header, right in all its fields, with these bytes behind it.
  private static func packet(_ family: AddressFamily, _ number: UInt8, _ content: [UInt8]) -> [UInt8] {
    PacketBuilder().ethernet().ip(from: ends(family).0.address, to: ends(family).1.address, protocol: number)
      .payload(content).bytes
  }

  private static func transportOffset(_ family: AddressFamily) -> Int { linkLength + (family == .ipv4 ? 20 : 40) }

  private static func replacing(_ bytes: [UInt8], _ offset: Int, _ values: UInt8...) -> [UInt8] {
    var changed = bytes
    changed.replaceSubrange(offset..<offset + values.count, with: values)
    return changed
  }

  private func expectDropped(_ packets: [Bad], sourceLocation: SourceLocation = #_sourceLocation) throws {
    let fixture = try DatapathFixture()
    for bad in packets {
      var verdict: Outcome.Verdict?
      let growth = try fixture.counting { verdict = try fixture.send(bad.bytes, at: .fromPod(.pod1)).verdict }
      #expect(verdict == .drop, "\(bad.name)", sourceLocation: sourceLocation)
      #expect(growth == ["from_pod": 1, bad.reason: 1], "\(bad.name)", sourceLocation: sourceLocation)
    }
    #expect(try fixture.halfCounts() == (0, 0), sourceLocation: sourceLocation)
  }

  private static let headerLengths: [(Conversation, Int)] = [(.tcp, 24), (.udp, 8), (.sctp, 16), (.echo, 8)]

  /// The rest of the packet got lost: the IP header says so.
  @Test(arguments: AddressFamily.allCases) func cutAtEveryByte(family: AddressFamily) throws {
    for (talk, length) in Self.headerLengths {
      let whole = Self.whole(talk, family)
      // A network header that is not complete the kernel itself never hands on.
      let cuts = Self.transportOffset(family)..<Self.transportOffset(family) + length
      try expectDropped(cuts.map { Bad("\(talk) cut at \($0)", "drop_truncated", Array(whole.prefix($0))) })
    }
  }

  /// The sender made it so: the IP header says that this is all.
  @Test(arguments: AddressFamily.allCases) func transportHeaderOfEveryLength(family: AddressFamily) throws {
    for (talk, length) in Self.headerLengths {
      let content = Self.whole(talk, family).dropFirst(Self.transportOffset(family))
      let number = talk.number(family).rawValue
      // Of TCP's header the first twenty bytes say how long it is.
      try expectDropped(
        (0..<length).map {
          Bad("\(talk) of \($0) bytes", "drop_truncated", Self.packet(family, number, Array(content.prefix($0))))
        })
    }
  }

  @Test func ipv4Header() throws {
    let whole = Self.whole(.udp, .ipv4)
    let versions = [0, 1, 5, 6, 7, 15].map {
      Bad("version \($0)", "drop_malformed", Self.replacing(whole, 14, UInt8($0) << 4 | 5))
    }
    let lengths = (0..<5).map {
      Bad("\($0) words of header", "drop_malformed", Self.replacing(whole, 14, 0x40 | UInt8($0)))
    }
    try expectDropped(
      versions + lengths + [
        Bad("length 0", "drop_malformed", Self.replacing(whole, 16, 0, 0)),
        Bad("length within the header", "drop_malformed", Self.replacing(whole, 16, 0, 19)),
        Bad(
          "header longer than the packet", "drop_malformed", Self.replacing(Self.replacing(whole, 16, 0, 40), 14, 0x4f)),
        Bad("one byte more than there are", "drop_truncated", Self.replacing(whole, 16, 0, UInt8(whole.count - 13))),
        Bad("64 kilobytes", "drop_truncated", Self.replacing(whole, 16, 0xff, 0xff)),
        Bad("ICMPv6", "drop_malformed", Self.packet(.ipv4, 58, [128, 0, 0, 0, 0, 1, 0, 1])),
      ])
  }

  @Test func ipv6Header() throws {
    let whole = Self.whole(.udp, .ipv6)
    let versions = [0, 1, 4, 5, 7, 15].map {
      Bad("version \($0)", "drop_malformed", Self.replacing(whole, 14, UInt8($0) << 4))
    }
    try expectDropped(
      versions + [
        Bad("no payload", "drop_truncated", Self.replacing(whole, 18, 0, 0)),
        Bad("one byte more than there are", "drop_truncated", Self.replacing(whole, 18, 0, UInt8(whole.count - 53))),
        Bad("64 kilobytes", "drop_truncated", Self.replacing(whole, 18, 0xff, 0xff)),
        Bad("ICMP", "drop_malformed", Self.packet(.ipv6, 1, [8, 0, 0, 0, 0, 1, 0, 1])),
        Bad("ICMP error", "drop_malformed", Self.packet(.ipv6, 1, [3, 3, 0, 0, 0, 0, 0, 0])),
      ])
  }

  @Test func ipv6ExtensionHeaders() throws {
    let (source, destination) = Self.ends(.ipv6)
    func chain(_ count: Int) -> PacketBuilder {
      (0..<count).reduce(PacketBuilder().ethernet().ip(from: source.address, to: destination.address)) { chain, _ in
        chain.destinationOptions()
      }.udp(from: 40_000, to: 8080).payload(count: 10)
    }
    let jumbo = PacketBuilder().ethernet().ip(from: source.address, to: destination.address)
      .hopByHopOptions([0xc2, 4, 0, 1, 0, 0]).udp(from: 40_000, to: 8080).payload(count: 10).bytes
    let cuts = (54..<54 + 16).map {
      // With a payload length that agrees.
      Bad(
        "chain cut at \($0)", "", Self.replacing(Array(chain(2).bytes.prefix($0)), 18, 0, UInt8($0 - 54)))
    }
    try expectDropped([
      Bad("nine headers", "drop_malformed", chain(9).bytes),
      Bad("thirty headers", "drop_malformed", chain(30).bytes),
      Bad("header beyond the packet", "drop_truncated", Self.replacing(chain(1).bytes, 55, 40)),
      Bad("jumbo payload", "drop_truncated", Self.replacing(jumbo, 18, 0, 0)),
    ])
    let fixture = try DatapathFixture()
    for cut in cuts {
      #expect(try fixture.send(cut.bytes, at: .fromPod(.pod1)).verdict == .drop, "\(cut.name)")
    }
    #expect(try fixture.halfCounts() == (0, 0))
    for count in [1, 2, 8] {
      #expect(try fixture.send(chain(count), at: .fromPod(.pod1)).verdict == .redirect, "\(count) headers are fine")
    }
    #expect(try fixture.half(.udp, source, destination) != nil)
  }

  @Test(arguments: AddressFamily.allCases) func tcpHeader(family: AddressFamily) throws {
    let (whole, offset) = (Self.whole(.tcp, family), Self.transportOffset(family))
    let short = (0..<5).map {
      Bad("\($0) words of header", "drop_malformed", Self.replacing(whole, offset + 12, UInt8($0) << 4))
    }
    // What no stack sends: SYN, FIN and RST are exclusive, and only an opening or a reset may do without ACK.
    let flags = (0..<64).map { TCPFlags(rawValue: $0) }.filter { flags in
      let kinds = [TCPFlags.syn, .fin, .rst].filter { flags.contains($0) }.count
      return kinds > 1 || (flags.isDisjoint(with: [.syn, .rst, .ack]))
    }
    #expect(flags.count == 32 + 8)
    try expectDropped(
      short + flags.map { Bad("flags \($0)", "drop_malformed", Self.replacing(whole, offset + 13, $0.rawValue)) } + [
        Bad("options beyond the packet", "drop_truncated", Self.replacing(whole, offset + 12, 0xf0))
      ])
  }

  @Test(arguments: AddressFamily.allCases) func otherTransportHeaders(family: AddressFamily) throws {
    let (udp, sctp) = (Self.whole(.udp, family), Self.whole(.sctp, family))
    let offset = Self.transportOffset(family)
    try expectDropped(
      (0..<8).map { Bad("UDP length \($0)", "drop_malformed", Self.replacing(udp, offset + 4, 0, $0)) } + [
        Bad("UDP length beyond the packet", "drop_truncated", Self.replacing(udp, offset + 4, 0, 50)),
        Bad("SCTP source port 0", "drop_malformed", Self.replacing(sctp, offset, 0, 0)),
        Bad("SCTP destination port 0", "drop_malformed", Self.replacing(sctp, offset + 2, 0, 0)),
      ])
  }

  /// A first piece too small for the header that the decision needs.
  @Test(arguments: AddressFamily.allCases) func tinyFragment(family: AddressFamily) throws {
    let (source, destination) = Self.ends(family)
    let pieces = PacketBuilder().ethernet().ip(from: source.address, to: destination.address)
      .tcp(from: 40_000, to: 8080, flags: .syn).payload(count: 40).fragments(ofAtMost: 8)
    try expectDropped([
      Bad("first of 8 bytes", "drop_truncated", pieces[0]), Bad("the second", "fragments_held", pieces[1]),
    ])
  }

  @Test func otherLinkProtocols() throws {
    let fixture = try DatapathFixture()
    let frame = PacketBuilder().ethernet(type: 0x88b5).payload(count: 50)
    try fixture.send(frame, at: .fromPod(.pod1)).expect(.drop)
    try fixture.send(frame, at: .fromNet).expect(.pass, frame)
    let arp = PacketBuilder().ethernet(type: 0x0806).payload(count: 28)
    try fixture.send(arp, at: .fromPod(.pod1)).expect(.pass, arp)
    #expect(try fixture.counts() == ["from_pod": 2, "from_net": 1, "drop_not_ip": 1])
  }

  /// What a NIC sees while something listens to all that is on the wire.
  @Test(arguments: AddressFamily.allCases) func framesForOthers(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, .tcp, family, by: [(.pod1, 8080)])
    for (receiver, goesOn) in [(MACAddress(2, 0, 0, 0, 0, 3), false), (MACAddress(2, 0, 0, 0, 0, 2), true)] {
      let opening = PacketBuilder().ethernet(to: receiver)
        .ip(from: Party.client.address(family), to: Party.service.address(family))
        .tcp(from: 40_000, to: 80, flags: .syn)
      try fixture.send(opening, at: .fromNet).expect(goesOn ? .redirect : .pass, goesOn ? nil : opening)
      #expect(try fixture.halfCounts() == (0, goesOn ? 2 : 0))
    }
    #expect(try fixture.counts() == ["from_net": 1, "flows_created": 1])
  }
}
