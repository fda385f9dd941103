import BPFTesting
import MartletNetworking
import Testing

/// Addresses of both families, so that every scenario runs with either.
enum Family: String, CaseIterable, Sendable {
  case ipv4, ipv6

  var client: IPAddress { self == .ipv4 ? IPAddress(10, 0, 0, 1) : IPAddress(bits: 0xfd50 << 112 | 1) }
  var server: IPAddress { self == .ipv4 ? IPAddress(10, 96, 0, 10) : IPAddress(bits: 0xfd96 << 112 | 10) }
  /// Where the IP header ends behind Ethernet.
  var transportOffset: Int { self == .ipv4 ? 34 : 54 }

  var packet: PacketBuilder { PacketBuilder().ethernet().ip(from: client, to: server) }
}

@Suite struct ChecksumTests {
  @Test func internetChecksumOfRFC1071sExample() {
    #expect(InternetChecksum.of([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]) == ~0xddf2)
  }

  @Test func oddByteIsPaddedBehind() {
    #expect(InternetChecksum.of([0x12, 0x34, 0x56]) == InternetChecksum.of([0x12, 0x34, 0x56, 0x00]))
  }

  @Test func crc32cCheckValue() {
    #expect(CRC32C.of("123456789".utf8) == 0xe306_9283)
  }

  /// A header that was seen on a wire: 192.168.0.1 to 192.168.0.199, UDP, 115 bytes.
  @Test func ipv4HeaderSeenOnAWire() {
    let built = PacketBuilder().ip(
      from: IPAddress(192, 168, 0, 1), to: IPAddress(192, 168, 0, 199), protocol: 17
    ).payload(count: 95).bytes
    #expect(
      built.prefix(20).elementsEqual([
        0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7,
      ]))
  }
}

@Suite struct PacketRoundTripTests {
  @Test(arguments: Family.allCases) func tcp(family: Family) throws {
    let packet = ParsedPacket(
      family.packet.tcp(
        from: 40000, to: 80, flags: [.syn, .ack], sequence: 7, acknowledgement: 8, window: 100,
        options: [2, 4, 5, 0xb4, 1]
      ).payload("hello").bytes)
    #expect(packet.problems == [])
    #expect(packet.ip?.source == family.client)
    #expect(packet.ip?.destination == family.server)
    let tcp = try #require(packet.tcp)
    #expect(tcp.flags == [.syn, .ack])
    #expect((tcp.source, tcp.destination, tcp.sequence, tcp.acknowledgement, tcp.window) == (40000, 80, 7, 8, 100))
    #expect(tcp.options == [2, 4, 5, 0xb4, 1, 0, 0, 0])
    #expect(packet.payload == Array("hello".utf8))
  }

  @Test(arguments: Family.allCases) func udpWithAndWithoutChecksum(family: Family) {
    let with = ParsedPacket(family.packet.udp(from: 5353, to: 53).payload(count: 3).bytes)
    #expect(with.problems == [])
    #expect(with.transport == .udp(source: 5353, destination: 53, hasChecksum: true))
    let without = ParsedPacket(family.packet.udp(from: 5353, to: 53, checksum: 0).payload(count: 3).bytes)
    #expect(without.problems.isEmpty == (family == .ipv4), "IPv6 wants one")
  }

  @Test(arguments: Family.allCases) func udpChecksumThatComesOutAsZeroIsSentAsOnes(family: Family) {
    // The checksum of a packet whose payload is the complement of its sum is zero.
    let zeroed = family.packet.udp(from: 1, to: 2).payload([0, 0]).bytes
    let sum = zeroed[(family.transportOffset + 6)...].prefix(2)
    let bytes = family.packet.udp(from: 1, to: 2).payload(sum).bytes
    #expect(bytes[(family.transportOffset + 6)...].prefix(2).elementsEqual([0xff, 0xff]))
    #expect(ParsedPacket(bytes).problems == [])
  }

  @Test(arguments: Family.allCases) func sctp(family: Family) {
    let packet = ParsedPacket(family.packet.sctp(from: 1, to: 2, verificationTag: 3).payload(count: 20).bytes)
    #expect(packet.problems == [])
    #expect(packet.transport == .sctp(source: 1, destination: 2, verificationTag: 3))
  }

  static let messages: [ICMPMessage] = [
    .echoRequest(identifier: 1, sequence: 2), .echoReply(identifier: 3, sequence: 4), .unreachable(.noRoute),
    .unreachable(.host), .unreachable(.port), .unreachable(.prohibited), .tooBig(mtu: 1400), .timeExceeded,
    .other(type: 200, code: 1, rest: 5),
  ]

  @Test(arguments: Family.allCases, messages) func icmp(family: Family, message: ICMPMessage) {
    let original = family.packet.tcp(from: 1, to: 2).payload(count: 10)
    let packet = ParsedPacket(family.packet.icmp(message).quoting(original).bytes)
    #expect(packet.problems == [])
    #expect(packet.icmp == message)
    #expect(packet.inner?.ip?.destination == (message.isError ? family.server : nil))
  }

  @Test(arguments: Family.allCases, [28, 100, 2000])
  func cutQuoteIsNoProblem(family: Family, limit: Int) {
    let original = family.packet.tcp(from: 7, to: 8).payload(count: 3000)
    let header = family == .ipv4 ? 20 : 40
    let error = family.packet.icmp(.tooBig(mtu: 1400)).quoting(original, limit: header + 8 + limit)
    let packet = ParsedPacket(error.bytes)
    #expect(packet.problems == [])
    #expect(packet.inner?.destinationPort == 8)
  }

  @Test(arguments: Family.allCases) func wrongHeaderInQuoteIsAProblem(family: Family) {
    let original = family.packet.udp(from: 1, to: 2, checksum: 0xdead)
    let packet = ParsedPacket(family.packet.icmp(.unreachable(.port)).quoting(original).bytes)
    #expect(packet.problems.count == 1)
    #expect(packet.problems.first?.hasPrefix("quoted packet: UDP checksum 0xdead") == true)
  }

  @Test(arguments: Family.allCases, Family.allCases) func vxlan(outer: Family, inner: Family) {
    let original = inner.packet.tcp(from: 1, to: 2).payload(count: 9)
    let bytes = outer.packet.udp(from: 50000, to: 4789, checksum: 0).vxlan(0xabcdef).packet(original).bytes
    let packet = ParsedPacket(bytes)
    #expect(packet.problems == [])
    #expect(packet.vxlan == 0xabcdef)
    #expect(packet.inner?.ip?.source == inner.client)
    #expect(bytes.suffix(original.bytes.count).elementsEqual(original.bytes))
  }

  @Test func extensionHeadersAreSkipped() {
    let packet = ParsedPacket(
      Family.ipv6.packet.hopByHopOptions().routingHeader().destinationOptions().udp(from: 1, to: 2).bytes)
    #expect(packet.problems == [])
    #expect(packet.ip?.extensionHeaders == [0, 43, 60])
    #expect(packet.destinationPort == 2)
  }

  @Test func ipv4OptionsAndVLAN() {
    let packet = ParsedPacket(
      PacketBuilder().ethernet().vlan(42)
        .ip(from: IPAddress(10, 0, 0, 1), to: IPAddress(10, 0, 0, 2), options: [7, 3, 4])
        .udp(from: 1, to: 2).bytes)
    #expect(packet.problems == [])
    #expect(packet.ethernet?.vlan == 42)
    #expect(packet.ip?.options == [7, 3, 4, 0])
  }

  @Test(arguments: Family.allCases) func fragmentsMakeUpTheWhole(family: Family) throws {
    let whole = family.packet.udp(from: 1, to: 2).payload(count: 100)
    let fragments = whole.fragments(ofAtMost: 50, identification: 9).map { ParsedPacket($0) }
    #expect(fragments.map(\.problems) == [[], [], []])
    #expect(fragments.map { $0.ip?.fragment?.offset } == [0, 48, 96])
    #expect(fragments.map { $0.ip?.fragment?.moreFollow } == [true, true, false])
    #expect(fragments.allSatisfy { $0.ip?.protocolNumber == .udp && $0.ip?.fragment?.identification == 9 })
    #expect(fragments.map(\.destinationPort) == [2, nil, nil])
    // The first one's UDP header is read; the rest is payload.
    #expect(fragments.flatMap(\.payload) == (0..<100).map { UInt8($0) })
  }

  @Test(arguments: Family.allCases) func ethernetPaddingIsNoPayload(family: Family) {
    let bytes = family.packet.udp(from: 1, to: 2).payload(count: 1).bytes + [UInt8](repeating: 0xee, count: 10)
    let packet = ParsedPacket(bytes)
    #expect(packet.problems == [])
    #expect(packet.payload == [0])
  }
}

@Suite struct PacketProblemTests {
  /// Every single-bit error in what a checksum covers is found, whatever else is.
  @Test(arguments: Family.allCases, [L4Protocol.tcp, .udp, .sctp])
  func everyFlippedBitIsAProblem(family: Family, number: L4Protocol) {
    let packet =
      switch number {
      case .tcp: family.packet.tcp(from: 1, to: 2)
      case .udp: family.packet.udp(from: 1, to: 2)
      default: family.packet.sctp(from: 1, to: 2)
      }
    let bytes = packet.payload(count: 5).bytes
    for index in family.transportOffset..<bytes.count {
      for bit in 0..<8 {
        var broken = bytes
        broken[index] ^= 1 << bit
        #expect(ParsedPacket(broken).problems != [], "bit \(bit) of byte \(index)")
      }
    }
  }

  @Test(arguments: Family.allCases) func everyCutIsAProblem(family: Family) {
    let bytes = family.packet.tcp(from: 1, to: 2).payload(count: 5).bytes
    for count in 0..<bytes.count { #expect(ParsedPacket(bytes.prefix(count)).problems != []) }
  }

  @Test(arguments: Family.allCases) func arbitraryBytesAreSurvived(family: Family) {
    var generator = SystemRandomNumberGenerator()
    let sound = family.packet.udp(from: 1, to: 4789).vxlan(1).packet(
      family.packet.icmp(.timeExceeded).quoting(family.packet.tcp(from: 1, to: 2))
    ).bytes
    for _ in 0..<2000 {
      var bytes = sound
      for _ in 0..<3 { bytes[Int.random(in: 12..<bytes.count, using: &generator)] = .random(in: 0...255) }
      let packet = ParsedPacket(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))
      #expect(!packet.description.isEmpty)
    }
  }

  @Test func wrongIPv4ChecksumIsQuotedWithTheRightOne() {
    let bytes = PacketBuilder().ip(from: IPAddress(1, 1, 1, 1), to: IPAddress(2, 2, 2, 2), checksum: 0xbeef).bytes
    let problems = ParsedPacket(bytes, startingWith: .ip).problems
    #expect(problems.count == 1)
    #expect(problems.first?.hasPrefix("IPv4 checksum 0xbeef, should be 0x") == true)
  }
}

@Suite struct PacketDescriptionTests {
  @Test func oneLine() {
    let bytes = Family.ipv4.packet.tcp(from: 40000, to: 80, flags: .syn).payload(count: 4).bytes
    #expect(
      ParsedPacket(bytes).description
        == "02:00:00:00:00:01 > 02:00:00:00:00:02 10.0.0.1:40000 > 10.96.0.10:80 TCP SYN seq 1 ack 0 ttl 64 df 4 bytes")
  }

  @Test func problemsFollow() {
    let bytes = Family.ipv6.packet.udp(from: 1, to: 2, checksum: 1).bytes
    #expect(ParsedPacket(bytes).description.contains(" ! UDP checksum 0x1, should be 0x"))
  }

  @Test func differenceNamesTheFields() throws {
    let sent = Family.ipv4.packet.udp(from: 1, to: 2)
    let other = PacketBuilder().ethernet().ip(from: Family.ipv4.client, to: IPAddress(10, 0, 0, 2)).udp(from: 1, to: 3)
    #expect(PacketDifference(expected: sent.bytes, actual: sent.bytes) == nil)
    let difference = try #require(PacketDifference(expected: sent.bytes, actual: other.bytes))
    #expect(difference.lines.contains("30..<34 IPv4 destination: 0a 00 00 02, should be 0a 60 00 0a"))
    #expect(difference.lines.contains("36..<38 UDP destination port: 00 03, should be 00 02"))
    #expect(difference.lines.count == 4, "and both checksums")
  }

  @Test func differenceInsideATunnelIsNamed() throws {
    func tunnelled(_ port: UInt16) -> [UInt8] {
      Family.ipv4.packet.udp(from: 1, to: 4789, checksum: 0).vxlan(1).packet(Family.ipv6.packet.tcp(from: 1, to: port))
        .bytes
    }
    let difference = try #require(PacketDifference(expected: tunnelled(2), actual: tunnelled(3)))
    #expect(difference.lines.contains { $0.contains("inner TCP destination port: 00 03, should be 00 02") })
  }

  @Test func differenceOfLengthIsTold() throws {
    let bytes = Family.ipv4.packet.udp(from: 1, to: 2).bytes
    let difference = try #require(PacketDifference(expected: bytes, actual: bytes + [0]))
    #expect(difference.lines == ["length: \(bytes.count + 1) bytes, should be \(bytes.count)"])
  }
}
