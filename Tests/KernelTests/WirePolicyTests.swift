import BPF
import BPFPrograms
import BPFTesting
import CBPF
import MartletNetworking
import MartletServices
import Testing

/// What is dropped where it arrives, ahead of the kernel's own buffers.
@Suite(.requiresBPF) struct WirePolicyTests {
  typealias Rule = PolicyTables.Rule

  /// The program of the wire, with the tables of a fixture.
  private final class Wire: Sendable {
    let fixture: DatapathFixture
    let object: Object

    init() throws {
      let fixture = try DatapathFixture()
      object = try Self.load(sharing: fixture.datapath.programs)
      self.fixture = fixture
    }

    private static func load(sharing programs: borrowing Object) throws(BPFError) -> Object {
      let opening = try OpenObject(hexadecimal: BPFPrograms.xdp, name: "xdp")
      for name in opening.mapNames where !name.hasPrefix(".") && name != "policy_scratches" {
        let map = try programs.mapDescriptor(named: name)
        try opening.resize(map: name, to: UInt32(MapInfo(of: map).maxEntries))
        try opening.reuse(map: name, descriptor: map)
      }
      return try opening.load()
    }

    /// Whether the packet gets through.
    func passes(_ packet: [UInt8]) throws -> Bool {
      let context = XDPContext(ingressInterface: fixture.datapath.network.index)
      let verdict = try fixture.node.run {
        try self.object.program(named: "from_wire").testRun(packet, context: context)
      }
      return verdict.returnValue == 2  // XDP_PASS
    }

    func protect(_ rules: [Rule]) throws {
      var endpoint = host_endpoint()
      endpoint.untracked_ingress = fixture.policy.write(rules)
      try fixture.policy.protect(fixture.datapath.network, by: endpoint)
    }
  }

  private func packet(
    _ talk: Conversation, _ family: AddressFamily, from source: UInt16 = 40_000, of server: Party = .node,
    to port: UInt16 = 8080
  ) -> [UInt8] {
    talk.packet(
      .opening, from: EndAddress(Party.client.address(family), source),
      to: EndAddress(server.address(family), talk.hasPorts ? port : 40_000)
    ).bytes
  }

  @Test(arguments: Conversation.combinations) func deniedIsDropped(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let wire = try Wire()
    #expect(try wire.passes(packet(talk, family)))
    for (rules, passes) in [([Rule(POLICY_DENY, 1)], false), ([Rule(POLICY_ALLOW, 1)], true), ([], true)] {
      try wire.protect(rules)
      #expect(try wire.passes(packet(talk, family)) == passes)
    }
    #expect(try wire.fixture.counts() == ["drop_host_policy": 1])
    #expect(try wire.fixture.halfCounts() == (0, 0))
  }

  @Test(arguments: AddressFamily.allCases) func portsAndFailsafes(family: AddressFamily) throws {
    let wire = try Wire()
    let policy = wire.fixture.policy
    policy.classify(POLICY_PLANE_TCP, 8080, as: 1)
    policy.classify(POLICY_PLANE_TCP, 22, as: 1)
    try wire.protect([Rule(POLICY_DENY, 1, [POLICY_PORT: [1]])])
    try policy.keepOpen(.tcp, 22, from: IPPrefix(Party.client.address(family)))
    #expect(try !wire.passes(packet(.tcp, family)))
    #expect(try wire.passes(packet(.udp, family)))
    #expect(try wire.passes(packet(.tcp, family, to: 8081)))
    #expect(try wire.passes(packet(.tcp, family, to: 22)))
  }

  @Test(arguments: AddressFamily.allCases)
  func `Failsafe ports are the host's: pods behind it have none`(family: AddressFamily) throws {
    let wire = try Wire()
    try wire.protect([Rule(POLICY_DENY, 1)])
    let everyone = IPPrefix(IPAddress.unspecified(.ipv6), length: 0)
    try wire.fixture.policy.keepOpen(.tcp, 22, from: everyone)
    try wire.fixture.policy.keepOpen(.udp, 53, from: everyone, egress: true)
    for (server, passes) in [(Party.node, true), (.pod1, false), (.remote, false)] {
      #expect(try wire.passes(packet(.tcp, family, of: server, to: 22)) == passes, "to port 22 of \(server)")
      #expect(
        try wire.passes(packet(.udp, family, from: 53, of: server, to: 40_000)) == passes, "from port 53 to \(server)")
    }
    #expect(try wire.fixture.counts() == ["drop_host_policy": 4])
  }

  @Test(arguments: Conversation.combinations) func blockedSender(combination: (Conversation, AddressFamily)) throws {
    let wire = try Wire()
    let sender = Party.client.address(combination.1)
    try wire.fixture.policy.block(IPPrefix(sender, length: combination.1 == .ipv4 ? 24 : 64))
    #expect(try !wire.passes(packet(combination.0, combination.1)))
    #expect(try wire.fixture.counts() == ["drop_blocked": 1])
  }

  /// Without these there is no network; and what cannot be read is for the tc hook to judge.
  @Test func whatIsNeverClosed() throws {
    let wire = try Wire()
    try wire.protect([Rule(POLICY_DENY, 1)])
    for family in AddressFamily.allCases { #expect(try wire.passes(packet(.udp, family, to: 14_789))) }
    let ip = PacketBuilder().ethernet().ip(
      from: Party.client.address(.ipv6), to: Party.node.address(.ipv6), timeToLive: 255,
      protocol: L4Protocol.icmpv6.rawValue)
    #expect(try wire.passes(ip.payload([135, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16)).bytes))
    for length in 14..<54 { #expect(try wire.passes(Array(packet(.tcp, .ipv6).prefix(length)))) }
    #expect(try wire.fixture.counts() == [:])
  }
}
