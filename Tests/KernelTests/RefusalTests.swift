import BPF
import BPFTesting
import CBPF
import MartletNetworking
import MartletServices
import Testing

/// Packets that the datapath answers itself, and those that it drops by a service's rules.
@Suite(.requiresBPF) struct RefusalTests {
  /// Where a client is, and what it asks.
  struct Asked: Sendable, CustomTestStringConvertible {
    var client: Party
    var place: Place
    var address: Party
    var testDescription: String { "\(client) asks \(address)" }
    /// An answer goes out by the way the packet came in.
    func client(_ family: AddressFamily) -> EndAddress { EndAddress(client.address(family), 40_000) }
    func service(_ family: AddressFamily) -> EndAddress { EndAddress(address.address(family), 80) }
  }

  static let asked = [
    Asked(client: .pod1, place: .fromPod(.pod1), address: .service),
    Asked(client: .client, place: .fromNet, address: .externalIP),
    Asked(client: .node, place: .toNet, address: .service),
  ]

  private func answer(_ from: EndAddress, _ to: EndAddress) -> PacketBuilder {
    PacketBuilder().ethernet(from: MACAddress(2, 0, 0, 0, 0, 2), to: MACAddress(2, 0, 0, 0, 0, 1))
      .ip(from: from.address, to: to.address)
  }

  /// A segment and the reset that RFC 9293 wants for it.
  private static func segments(_ ip: PacketBuilder) -> [(PacketBuilder, sequence: UInt32, acknowledges: UInt32?)] {
    [
      (ip.tcp(from: 40_000, to: 80, flags: .syn, sequence: 999), 0, 1000),
      (ip.tcp(from: 40_000, to: 80, flags: .syn, sequence: .max), 0, 0),
      (ip.tcp(from: 40_000, to: 80, flags: .syn, sequence: 999, options: [2, 4, 5, 180, 1, 3, 3, 7]), 0, 1000),
      (ip.tcp(from: 40_000, to: 80, flags: [.syn, .ece, .cwr], sequence: 5).payload(count: 33), 0, 39),
    ]
  }

  @Test(arguments: asked, AddressFamily.allCases) func nobodyServesTCP(asked: Asked, family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: asked.address, 80, .tcp, family, by: [])
    let (client, service) = (asked.client(family), asked.service(family))
    let ip = PacketBuilder().ethernet().ip(from: client.address, to: service.address)
    for (segment, sequence, acknowledges) in Self.segments(ip) {
      let flags: TCPFlags = acknowledges == nil ? .rst : [.rst, .ack]
      let reset = answer(service, client).tcp(
        from: 80, to: 40_000, flags: flags, sequence: sequence, acknowledgement: acknowledges ?? 0, window: 0)
      let outcome = try fixture.send(segment, at: asked.place)
      outcome.expect(.redirect, reset)
      #expect(outcome.packet.prefix(14) == reset.bytes.prefix(14))
      #expect(outcome.isDecided)
    }
    #expect(try fixture.counts() == [asked.place.program: 4, "refused": 4])
    #expect(try fixture.halfCounts() == (0, 0))
  }

  /// The middle of a connection to a port that nobody serves is reset with the sequence number that it acknowledges.
  @Test(arguments: AddressFamily.allCases) func middleOfAConnectionIsReset(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (client, service) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.service.address(family), 81)
    )
    let ip = PacketBuilder().ethernet().ip(from: client.address, to: service.address)
    let outcome = try fixture.send(
      ip.tcp(from: 40_000, to: 81, flags: .ack, sequence: 7, acknowledgement: 4242), at: .fromPod(.pod1))
    outcome.expect(.redirect, answer(service, client).tcp(from: 81, to: 40_000, flags: .rst, sequence: 4242, window: 0))
    let reset = ip.tcp(from: 40_000, to: 81, flags: .rst, sequence: 7)
    #expect(try fixture.send(reset, at: .fromPod(.pod1)).verdict == .drop, "a reset is never answered")
  }

  @Test(arguments: asked, AddressFamily.allCases) func nobodyServesDatagrams(asked: Asked, family: AddressFamily) throws
  {
    let fixture = try DatapathFixture()
    for talk in [Conversation.udp, .sctp] {
      try fixture.serve(at: asked.address, 80, talk.number(family), family, by: [])
      let (client, service) = (asked.client(family), asked.service(family))
      for payload in [0, 1, 40, 400, 1400] {
        let packet = talk.packet(.opening, from: client, to: service, payload: payload)
        let quote = min((packet.bytes.count - 14) & ~3, 512)
        let unreachable = answer(service, client).icmp(.unreachable(.port)).quoting(packet, limit: quote)
        try fixture.send(packet, at: asked.place).expect(.redirect, unreachable, "\(talk) with \(payload) bytes")
      }
    }
    #expect(try fixture.counts() == [asked.place.program: 10, "refused": 10])
  }

  @Test(arguments: AddressFamily.allCases) func portThatTheServiceDoesNotHave(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, .tcp, family, by: [(.pod1, 8080)])
    let (client, service) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.service.address(family), 9)
    )
    let syn = Conversation.tcp.packet(.opening, from: client, to: service)
    let reset = answer(service, client)
      .tcp(from: 9, to: 40_000, flags: [.rst, .ack], acknowledgement: 1000, window: 0)
    let outcome = try fixture.send(syn, at: .fromPod(.pod1))
    #expect(outcome.parsed.tcp?.sequence == 0)
    outcome.expect(
      .redirect,
      answer(service, client).tcp(
        from: 9, to: 40_000, flags: [.rst, .ack], sequence: 0, acknowledgement: 1000, window: 0))
    #expect(reset.bytes.count == outcome.packet.count)
  }

  // MARK: - Dropped by a service's rules

  /// What is dropped, and under which counter.
  struct Drop: Sendable, CustomTestStringConvertible {
    var name: String
    var counter: String
    var place = Place.fromPod(.pod1)
    var client = Party.pod1
    var talk = Conversation.tcp
    var destination = Party.service
    var flags: [frontend_flag] = []
    var cluster: [Party] = [.pod2]
    var local: [Party] = []
    var testDescription: String { name }
  }

  static let drops = [
    Drop(name: "unallocated service address", counter: "drop_service_address", destination: .unallocated),
    Drop(
      name: "unallocated address, from the network", counter: "drop_service_address", place: .fromNet, client: .client,
      destination: .unallocated),
    Drop(
      name: "unallocated address, from the host", counter: "drop_service_address", place: .toNet, client: .node,
      destination: .unallocated),
    Drop(name: "ping of a service", counter: "drop_service_address", talk: .echo),
    Drop(
      name: "internal policy Local without a local pod", counter: "drop_no_local_backend",
      flags: [FRONTEND_INTERNAL_LOCAL, FRONTEND_HAS_ENDPOINTS], cluster: [.otherPod]),
    Drop(
      name: "external policy Local without a local pod", counter: "drop_no_local_backend", place: .fromNet,
      client: .client, destination: .externalIP,
      flags: [FRONTEND_EXTERNAL, FRONTEND_EXTERNAL_LOCAL, FRONTEND_HAS_ENDPOINTS], cluster: [.otherPod]),
    Drop(
      name: "client outside the source ranges", counter: "drop_source_range", place: .fromNet, client: .client,
      destination: .externalIP, flags: [FRONTEND_EXTERNAL, FRONTEND_SOURCE_RANGES]),
  ]

  @Test(arguments: drops, AddressFamily.allCases) func dropped(drop: Drop, family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    if drop.destination != .unallocated && drop.talk.hasPorts {
      try fixture.serve(
        at: drop.destination, 80, drop.talk.number(family), family, by: drop.cluster.map { ($0, 8080) },
        local: drop.local.map { ($0, 8080) }, flags: drop.flags)
    }
    let packet = drop.talk.packet(
      .opening, from: EndAddress(drop.client.address(family), 40_000),
      to: EndAddress(drop.destination.address(family), 80))
    try fixture.send(packet, at: drop.place).expect(.drop)
    #expect(try fixture.counts() == [drop.place.program: 1, drop.counter: 1])
    #expect(try fixture.halfCounts() == (0, 0))
  }

  @Test(arguments: AddressFamily.allCases) func sourceRangeAdmits(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(
      at: .externalIP, 80, .tcp, family, by: [(.pod1, 8080)], flags: [FRONTEND_EXTERNAL, FRONTEND_SOURCE_RANGES])
    let range = IPPrefix(Party.remote.address(family), length: family == .ipv4 ? 24 : 64)
    try fixture.datapath.sourceRanges.set(
      source_range_key(service: DatapathFixture.service, prefix: range), family == .ipv4 ? 4 : 6)
    let service = EndAddress(Party.externalIP.address(family), 80)
    for (client, verdict) in [(Party.remote, Outcome.Verdict.redirect), (.client, .drop)] {
      let source = EndAddress(client.address(family), 40_000)
      #expect(
        try fixture.send(Conversation.tcp.packet(.opening, from: source, to: service), at: .fromNet).verdict == verdict,
        "\(client)")
    }
  }

  /// With the external policy Local, clients outside get a pod of this node, and those of the node any.
  @Test(arguments: AddressFamily.allCases) func externalPolicyIsForClientsOutside(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(
      at: .externalIP, 80, .tcp, family, by: [(.otherPod, 8080)], local: [(.pod2, 8080)],
      flags: [FRONTEND_EXTERNAL, FRONTEND_EXTERNAL_LOCAL, FRONTEND_HAS_ENDPOINTS])
    let service = EndAddress(Party.externalIP.address(family), 80)
    for (client, place, backend) in [
      (Party.client, Place.fromNet, Party.pod2), (.pod1, .fromPod(.pod1), .otherPod),
    ] {
      let source = EndAddress(client.address(family), 40_000)
      try fixture.send(Conversation.tcp.packet(.opening, from: source, to: service), at: place).expect(
        .redirect,
        Conversation.tcp.packet(
          .opening, from: source, to: EndAddress(backend.address(family), 8080), timeToLive: 63))
    }
  }

  // MARK: - Routers' duties

  @Test(arguments: AddressFamily.allCases) func hopLimitRunsOut(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (client, remote) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.remote.address(family), 53)
    )
    for timeToLive in [UInt8(0), 1] {
      let packet = Conversation.udp.packet(.opening, from: client, to: remote, timeToLive: timeToLive, payload: 40)
      let error = answer(EndAddress(Party.node.address(family), 0), client).icmp(.timeExceeded).quoting(packet)
      try fixture.send(packet, at: .fromPod(.pod1)).expect(.redirect, error)
    }
    #expect(try fixture.counts()["drop_ttl"] == 2)
  }

  @Test(arguments: AddressFamily.allCases) func tooBigForThePod(family: AddressFamily) throws {
    var options = DatapathFixture.Options()
    options.podMTU = 1300
    let fixture = try DatapathFixture(options)
    try fixture.serve(at: .service, 80, .udp, family, by: [(.pod2, 8080)])
    let (client, service) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.service.address(family), 80)
    )
    let headers = family == .ipv4 ? 28 : 48
    let fitting = Conversation.udp.packet(.opening, from: client, to: service, payload: 1300 - headers)
    #expect(try fixture.send(fitting, at: .fromPod(.pod1)).verdict == .redirect)
    let packet = Conversation.udp.packet(.opening, from: client, to: service, payload: 1301 - headers)
    // The client knows nobody but the service.
    let error = answer(service, client).icmp(.tooBig(mtu: 1300)).quoting(packet, limit: 512)
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.redirect, error)
    #expect(try fixture.counts()["drop_too_big"] == 1)
  }

  @Test(arguments: AddressFamily.allCases) func tooBigForTheRoute(family: AddressFamily) throws {
    let fixture = try DatapathFixture(DatapathFixture.Options())
    let remote = EndAddress(Party.remote.address(family), 53)
    try fixture.node.ip(
      "route replace \(IPPrefix(remote.address)) via \(Party.router.address(family)) dev eth0 mtu lock 1300")
    let client = EndAddress(Party.pod1.address(family), 40_000)
    let packet = Conversation.udp.packet(.opening, from: client, to: remote, payload: 1400)
    let error = answer(remote, client).icmp(.tooBig(mtu: 1300)).quoting(packet, limit: 512)
    try fixture.send(packet, at: .fromPod(.pod1)).expect(.redirect, error)
    let small = Conversation.udp.packet(.data, from: client, to: remote, payload: 1000)
    #expect(try fixture.send(small, at: .fromPod(.pod1)).verdict == .redirect)
  }

  /// A buffer that is cut into segments later is as long as the longest of them.
  @Test(arguments: AddressFamily.allCases) func segmentsForThePod(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let ip = PacketBuilder().ethernet().ip(from: Party.pod1.address(family), to: Party.pod2.address(family))
    let timestamps: [UInt8] = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]
    let headers = [
      (ip.udp(from: 40_000, to: 443), 8), (ip.tcp(from: 40_000, to: 443), 20),
      (ip.tcp(from: 40_001, to: 443, options: timestamps), 32),
    ]
    for (header, length) in headers {
      let fitting = 1500 - (family == .ipv4 ? 20 : 40) - length
      for (size, drops) in [(fitting, nil), (fitting + 1, UInt64(1))] {
        let growth = try fixture.counting {
          _ = try fixture.send(
            header.payload(count: 2 * size).bytes, at: .fromPod(.pod1), segmentSize: UInt32(size), segments: 2)
        }
        #expect(growth["drop_too_big"] == drops, "header of \(length) bytes, segments of \(size)")
      }
    }
  }

  /// SCTP puts packets of any length into one buffer (GSO_BY_FRAGS), each of which fits where it was made.
  @Test(arguments: AddressFamily.allCases, [Party.pod2, .remote])
  func bufferOfSCTPPackets(family: AddressFamily, destination: Party) throws {
    let fixture = try DatapathFixture()
    let packet = PacketBuilder().ethernet()
      .ip(from: Party.pod1.address(family), to: destination.address(family))
      .sctp(from: 40_000, to: 443).payload(count: 2000)
    for _ in 0..<2 {
      let outcome = try fixture.send(packet.bytes, at: .fromPod(.pod1), segmentSize: 0xffff, segments: 2)
      #expect(outcome.verdict == .redirect)
    }
    #expect(try fixture.counts()["drop_too_big"] == nil)
  }

  /// Segments are held to the route's MTU, and so is what follows them by the cached next hop.
  @Test(arguments: AddressFamily.allCases) func segmentsTooBigForTheRoute(family: AddressFamily) throws {
    let fixture = try DatapathFixture(DatapathFixture.Options())
    let (client, remote) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.remote.address(family), 443)
    )
    try fixture.node.ip(
      "route replace \(IPPrefix(remote.address)) via \(Party.router.address(family)) dev eth0 mtu lock 1300")
    let header = PacketBuilder().ethernet().ip(from: client.address, to: remote.address).tcp(from: 40_000, to: 443)
    let fitting = 1300 - (family == .ipv4 ? 40 : 60)
    for size in [fitting + 1, fitting, fitting + 1] {
      let packet = header.payload(count: 2 * size)
      let outcome = try fixture.send(
        packet.bytes, at: .fromPod(.pod1), segmentSize: UInt32(size), segments: 2)
      let error = answer(remote, client).icmp(.tooBig(mtu: 1300)).quoting(packet, limit: 512)
      outcome.expect(.redirect, size == fitting ? nil : error)
    }
    #expect(try fixture.counts()["drop_too_big"] == 2)
    let single = header.payload(count: fitting + 1)
    try fixture.send(single, at: .fromPod(.pod1))
      .expect(.redirect, answer(remote, client).icmp(.tooBig(mtu: 1300)).quoting(single, limit: 512))
  }

  /// At the host's own way out the stack has been already: it hears what fits, and cuts up what it sends next.
  @Test(arguments: [Party.pod1, .remote]) func tooBigButDivisibleFromTheHost(backend: Party) throws {
    var options = DatapathFixture.Options()
    options.podMTU = 1300
    let fixture = try DatapathFixture(options)
    let remote = Party.remote.address(.ipv4)
    try fixture.node.ip("route add \(IPPrefix(remote)) via \(Party.router.address(.ipv4)) dev eth0 mtu lock 1300")
    try fixture.serve(at: .service, 80, .udp, .ipv4, by: [(backend, 8080)])
    let (host, service) = (
      EndAddress(Party.node.address(.ipv4), 40_000), EndAddress(Party.service.address(.ipv4), 80)
    )
    let sent = PacketBuilder().ethernet().ip(from: host.address, to: service.address, dontFragment: false)
      .udp(from: 40_000, to: 80)
    let whole = sent.payload(count: 1400)
    try fixture.send(whole, at: .toNet)
      .expect(.redirect, answer(service, host).icmp(.tooBig(mtu: 1300)).quoting(whole, limit: 512))
    // Of a datagram that the stack has cut up for the wrong interface, the first piece is answered.
    let pieces = sent.payload(count: 2790).fragments(ofAtMost: 1400, identification: 9)
    let outcomes = try fixture.sendAll(pieces, at: .toNet)
    #expect(outcomes.map(\.verdict) == [.redirect, .drop])
    #expect(outcomes[0].parsed.ip?.destination == host.address)
    #expect(try fixture.counts()["drop_too_big"] == 3)
  }

  /// What may be fragmented is left to the stack, which can: translated, with its hop limit untouched.
  @Test func tooBigButDivisible() throws {
    var options = DatapathFixture.Options()
    options.podMTU = 1300
    let fixture = try DatapathFixture(options)
    try fixture.serve(at: .service, 80, .udp, .ipv4, by: [(.pod2, 8080)])
    let (client, service, pod) = (Party.pod1.address(.ipv4), Party.service.address(.ipv4), Party.pod2.address(.ipv4))
    let sent = PacketBuilder().ethernet().ip(from: client, to: service, dontFragment: false)
      .udp(from: 40_000, to: 80).payload(count: 1400)
    let outcome = try fixture.send(sent, at: .fromPod(.pod1))
    outcome.expect(
      .pass,
      PacketBuilder().ethernet().ip(from: client, to: pod, dontFragment: false)
        .udp(from: 40_000, to: 8080).payload(count: 1400))
    #expect(outcome.isDecided)
  }
}
