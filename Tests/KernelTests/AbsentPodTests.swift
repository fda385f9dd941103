import BPF
import BPFTesting
import CBPF
import MartletNetworking
import MartletServices
import Testing

/// Addresses of the node's own pod ranges that are no pod's, or not yet: nothing is forwarded to or from them.
@Suite(.requiresBPF) struct AbsentPodTests {
  private static func absent(_ family: AddressFamily) -> EndAddress {
    EndAddress(
      family == .ipv4 ? IPAddress(10, 65, 1, 99) : IPAddress(high: 0xfd65_0000_0000_0001, low: 0x99), 8080)
  }

  private func fixture() throws -> DatapathFixture {
    let fixture = try DatapathFixture()
    for family in AddressFamily.allCases {
      let range = IPPrefix(Party.pod1.address(family), length: family == .ipv4 ? 24 : 64)
      try fixture.datapath.prefixes.set(
        ip_prefix(range), prefix_entry(flags: PREFIX_POD.rawValue | PREFIX_LOCAL_POD.rawValue, node: 0))
    }
    return fixture
  }

  static let senders: [(Party, Place)] = [
    (.pod1, .fromPod(.pod1)), (.client, .fromNet), (.node, .toNet), (.node, .toPod(.pod1)),
  ]

  @Test(arguments: senders, Conversation.combinations)
  func nothingIsSentThere(sender: (Party, Place), combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try fixture()
    let packet = talk.packet(
      .opening, from: EndAddress(sender.0.address(family), 40_000), to: Self.absent(family))
    try fixture.send(packet, at: sender.1).expect(.drop)
    #expect(try fixture.counts() == [sender.1.program: 1, "drop_no_endpoint": 1])
    #expect(try fixture.halfCounts() == (0, 0))
  }

  /// A pod whose interface has no program yet is forwarded by the node's stack, which comes by on the way out.
  @Test(
    arguments: [(Party.remote, Place.toNet), (.pod1, .toPod(.pod1)), (.node, .fromNet), (.pod1, .fromPod(.pod1))],
    Conversation.combinations)
  func nothingComesFromThere(receiver: (Party, Place), combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try fixture()
    let packet = talk.packet(
      .opening, from: Self.absent(family), to: EndAddress(receiver.0.address(family), 8080))
    try fixture.send(packet, at: receiver.1, through: fixture.datapath.network).expect(.drop)
    #expect(try fixture.counts() == [receiver.1.program: 1, "drop_source_address": 1])
  }

  /// A bridge or gateway has an address of the range, and is the node; a pod of another node may have been lent one.
  @Test(arguments: AddressFamily.allCases) func othersInTheRange(family: AddressFamily) throws {
    let fixture = try fixture()
    let gateway = Self.absent(family)
    try fixture.datapath.addresses.set(
      ip_address(gateway.address), address_entry(kind: ADDRESS_THIS_NODE.rawValue, index: 0))
    let pod = EndAddress(Party.pod1.address(family), 8080)
    try fixture.send(Conversation.udp.packet(.opening, from: gateway, to: pod), at: .toPod(.pod1)).expect(.pass)
    try fixture.send(Conversation.tcp.packet(.opening, from: pod, to: gateway), at: .fromPod(.pod1)).expect(.pass)
    try fixture.forgetTraffic()
    try fixture.datapath.addresses.remove(ip_address(gateway.address))
    try fixture.datapath.prefixes.set(
      ip_prefix(IPPrefix(gateway.address)), prefix_entry(flags: PREFIX_POD.rawValue, node: 0))
    try fixture.send(Conversation.tcp.packet(.opening, from: pod, to: gateway), at: .fromPod(.pod1))
      .expect(.redirect)
  }

  /// A pod that came through the node's stack is judged where it leaves.
  @Test(arguments: AddressFamily.allCases) func podThroughTheStackIsJudged(family: AddressFamily) throws {
    let fixture = try fixture()
    fixture.policy.assign(.pod1, egress: fixture.policy.write([]))
    let source = EndAddress(Party.pod1.address(family), 40_000)
    for (destination, place) in [(Party.remote, Place.toNet), (.pod2, .toPod(.pod2))] {
      try fixture.forgetTraffic()
      let packet = Conversation.tcp.packet(
        .opening, from: source, to: EndAddress(destination.address(family), 8080))
      try fixture.send(packet, at: place, through: fixture.datapath.pods[.pod1]).expect(.drop)
      #expect(try fixture.counts() == [place.program: 1, "drop_policy_egress": 1])
    }
  }

  /// What passes for neighbour discovery has not been routed.
  @Test func routedNeighbourDiscoveryIsNone() throws {
    let fixture = try fixture()
    fixture.policy.assign(.pod2, ingress: 0)
    for (limit, verdict) in [(UInt8(255), Outcome.Verdict.pass), (254, .drop)] {
      let packet = PacketBuilder().ethernet()
        .ip(
          from: Party.pod1.address(.ipv6), to: Party.pod2.address(.ipv6), timeToLive: limit,
          protocol: L4Protocol.icmpv6.rawValue
        )
        .payload([135, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16))
      #expect(try fixture.send(packet, at: .toPod(.pod2), through: fixture.datapath.network).verdict == verdict)
    }
  }

  /// An error about no flow of a pod's is not delivered to it.
  @Test(arguments: AddressFamily.allCases) func unrelatedErrorIsNotDelivered(family: AddressFamily) throws {
    let fixture = try fixture()
    let (pod, client) = (EndAddress(Party.pod1.address(family), 8080), EndAddress(Party.client.address(family), 4_000))
    let error = PacketBuilder().ethernet().ip(from: client.address, to: pod.address).icmp(.unreachable(.port))
      .quoting(Conversation.udp.packet(.data, from: pod, to: client))
    for place in [Place.fromNet, .toPod(.pod1)] {
      try fixture.send(error, at: place, through: fixture.datapath.network).expect(.drop)
    }
    #expect(try fixture.counts()["drop_invalid_icmp"] == 2)
  }
}
