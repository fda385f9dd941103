import BPF
import BPFTesting
import MartletNetworking
import Testing

/// Packets with accidental damage, from a seed: whatever they are, the datapath gives a verdict that it can justify.
@Suite(.requiresBPF) struct PacketFuzzTests {
  private static let packetsPerSeed = 5_000

  @Test(arguments: [UInt64(1), 2, 3, 4]) func damagedPackets(seed: UInt64) throws {
    let fixture = try DatapathFixture()
    for family in AddressFamily.allCases {
      for talk in [Conversation.tcp, .udp, .sctp] {
        try fixture.serve(at: .service, 80, talk.number(family), family, by: [(.pod2, 8080)])
        try fixture.serve(at: .externalIP, 80, talk.number(family), family, by: [(.pod1, 8080)])
      }
    }
    var random = SplitMix64(seed: seed)
    for (place, originals) in [(Place.fromPod(.pod1), Self.fromPod), (.fromNet, Self.fromNet)] {
      let damaged = (0..<Self.packetsPerSeed / 2).map { _ in
        Self.damage(originals[Int.random(in: originals.indices, using: &random)], &random)
      }
      for (packet, outcome) in zip(damaged, try fixture.sendAll(damaged, at: place)) { judge(packet, outcome, seed) }
      try expectFlowsOnlyForSoundPackets(damaged, at: place, fixture)
    }
  }

  private static func ends(_ family: AddressFamily, _ source: Party, _ destination: Party) -> [(
    EndAddress, EndAddress
  )] {
    [80, 8080].map {
      (EndAddress(source.address(family), 40_000), EndAddress(destination.address(family), $0))
    }
  }

  private static func originals(_ pairs: [(Party, Party)]) -> [[UInt8]] {
    Conversation.combinations.flatMap { talk, family in
      pairs.flatMap { ends(family, $0.0, $0.1) }.flatMap { source, destination in
        let packet = talk.packet(.opening, from: source, to: destination)
        let error = PacketBuilder().ethernet().ip(from: source.address, to: destination.address)
          .icmp(.unreachable(.port)).quoting(talk.packet(.data, from: destination, to: source))
        return [packet.bytes, talk.packet(.data, from: source, to: destination).bytes, error.bytes]
          + packet.fragments(ofAtMost: 32)
      }
    }
  }

  private static let fromPod = originals([(.pod1, .service), (.pod1, .pod2), (.pod1, .remote)])
  private static let fromNet = originals([(.client, .externalIP), (.remote, .pod1), (.client, .node)])

  /// A few bytes changed, most of them in the headers, and now and then the end cut off or something added.
  private static func damage(_ original: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
    var packet = original
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      // The Ethernet header stays, else the kernel sees no IP.
      let index = Int.random(in: 14..<packet.count, using: &random)
      let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &random)
      packet[index] = Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : packet[index] ^ bit
    }
    switch Int.random(in: 0..<8, using: &random) {
    case 0: packet.removeLast(Int.random(in: 1...max(1, packet.count - 60), using: &random))
    case 1: packet += (0..<Int.random(in: 1...40, using: &random)).map { UInt8($0) }
    default: break
    }
    return packet
  }

  /// What is wrong with a packet besides checksums, which routers do not verify, and what only its receiver looks at.
  private static func faults(_ packet: [UInt8]) -> [String] {
    ParsedPacket(packet).problems.filter {
      !$0.contains("checksum") && !$0.hasPrefix("UDP length") && !$0.hasPrefix("quoted packet")
    }
  }

  private func judge(_ packet: [UInt8], _ outcome: Outcome, _ seed: UInt64) {
    switch outcome.verdict {
    case .drop, .pass: break
    case .redirect:
      #expect(Self.faults(outcome.packet) == [], "seed \(seed): \(ParsedPacket(packet))")
    case .unknown: Issue.record("seed \(seed): verdict \(outcome.verdict) of \(ParsedPacket(packet))")
    }
  }

  private func expectFlowsOnlyForSoundPackets(
    _ packets: [[UInt8]], at place: Place, _ fixture: DatapathFixture
  ) throws {
    try fixture.forgetTraffic()
    let broken = packets.filter { Self.faults($0) != [] }
    #expect(broken.count > packets.count / 50)
    _ = try fixture.sendAll(broken, at: place)
    let counts = try fixture.counts()
    #expect(counts["flows_created"] == nil)
    #expect(try fixture.halfCounts() == (0, 0))
  }
}
