import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// Source addresses that are not the sender's.
@Suite(.requiresBPF) struct SpoofingTests {
  /// Who sends where, and whose address it claims.
  struct Lie: Sendable, CustomTestStringConvertible {
    var place: Place
    var claimed: Party
    var destination: Party
    var testDescription: String { "\(claimed)'s address at \(place)" }
  }

  static let lies =
    [Party.pod2, .node, .otherNode, .otherPod, .client, .remote, .service].map {
      Lie(place: .fromPod(.pod1), claimed: $0, destination: .remote)
    } + [Party.pod1, .pod2, .node].map { Lie(place: .fromNet, claimed: $0, destination: .pod2) }

  @Test(arguments: lies, Conversation.combinations)
  func claimedAddressIsRefused(lie: Lie, combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    let packet = talk.packet(
      .opening, from: EndAddress(lie.claimed.address(family), 40_000),
      to: EndAddress(lie.destination.address(family), 8080))
    try fixture.send(packet, at: lie.place).expect(.drop)
    #expect(try fixture.counts() == [lie.place.program: 1, "drop_source_address": 1])
    #expect(try fixture.halfCounts() == (0, 0))
  }

  /// An established flow is no excuse: whoever knows its tuple still cannot speak in it.
  @Test(arguments: Conversation.combinations, [Place.fromPod(.pod2), .fromNet])
  func claimWithinAnEstablishedFlow(combination: (Conversation, AddressFamily), place: Place) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    let (pod, remote) = (
      EndAddress(Party.pod1.address(family), 40_000),
      EndAddress(Party.remote.address(family), talk.hasPorts ? 8080 : 40_000)
    )
    try fixture.send(talk.packet(.opening, from: pod, to: remote), at: .fromPod(.pod1)).expect(.redirect)
    try fixture.send(talk.packet(.answer, from: remote, to: pod), at: .fromNet).expect(.redirect)
    try fixture.send(talk.packet(.confirmation, from: pod, to: remote), at: .fromPod(.pod1)).expect(.redirect)
    let number = talk.number(family)
    let before = try fixture.half(number, pod, remote)
    #expect(before?.isConfirmed == true)
    let forged = talk.packet(.data, from: pod, to: remote)
    try fixture.send(forged, at: place).expect(.drop)
    #expect(try fixture.counts()["drop_source_address"] == 1)
    #expect(try fixture.half(number, pod, remote) == before, "the flow is as it was")
    try fixture.send(forged, at: .fromPod(.pod1)).expect(.redirect)
  }

  /// What the network sends as its own is its own.
  @Test(arguments: AddressFamily.allCases) func othersMaySpeakForThemselves(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let pod = EndAddress(Party.pod1.address(family), 8080)
    for sender in [Party.client, .remote, .otherNode, .otherPod] {
      let packet = Conversation.udp.packet(.opening, from: EndAddress(sender.address(family), 40_000), to: pod)
      #expect(try fixture.send(packet, at: .fromNet).verdict == .redirect, "\(sender)")
    }
  }

  /// A pod that is allowed other sources may use them, at its own interface, as if they were its own.
  @Test(arguments: Conversation.combinations) func allowedSources(combination: (Conversation, AddressFamily)) throws {
    let (talk, family) = combination
    let fixture = try DatapathFixture()
    let interface = try #require(fixture.datapath.pods[.pod1])
    let floating = EndAddress(Party.externalIP.address(family), 40_000)
    let remote = EndAddress(Party.remote.address(family), talk.hasPorts ? 8080 : 40_000)
    let opening = talk.packet(.opening, from: floating, to: remote)
    try fixture.send(opening, at: .fromPod(.pod1)).expect(.drop)
    try fixture.policy.allow(
      .pod1, at: interface, from: IPPrefix(floating.address, length: family == .ipv4 ? 24 : 64))
    fixture.policy.assign(.pod1, ingress: 0, egress: fixture.policy.write([.init(POLICY_ALLOW, 4)]))
    try fixture.send(opening, at: .fromPod(.pod2)).expect(.drop)
    try fixture.send(opening, at: .fromPod(.pod1)).expect(.redirect)
    #expect(try fixture.half(talk.number(family), floating, remote)?.egressRule == 4)
    // The reply finds back to the pod, whose address it is not.
    try fixture.send(talk.packet(.answer, from: remote, to: floating), at: .fromNet).expect(.redirect)
    #expect(try fixture.half(talk.number(family), remote, floating)?.endpoint == DatapathFixture.slot(.pod1))
    let other = talk.packet(.opening, from: EndAddress(Party.client.address(family), 40_000), to: remote)
    try fixture.send(other, at: .fromPod(.pod1)).expect(.drop)
  }

  /// An error may come from anybody on the way, but not from an address that its sender cannot have.
  @Test(arguments: AddressFamily.allCases, [Party.node, .remote, .otherNode, .service, .pod1])
  func errorFromAnothersAddress(family: AddressFamily, claimed: Party) throws {
    let fixture = try DatapathFixture()
    let (client, server) = (EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.pod2.address(family), 53))
    let question = Conversation.udp.packet(.opening, from: client, to: server)
    try fixture.send(question, at: .fromPod(.pod1)).expect(.redirect)
    func error(from party: Party) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: party.address(family), to: client.address).icmp(.unreachable(.port))
        .quoting(question)
    }
    try fixture.send(error(from: claimed), at: .fromPod(.pod2)).expect(.drop)
    // From the network it is the pods' and the node's own that nobody else has.
    let isOurs = claimed == .pod1 || claimed == .node
    #expect(try fixture.send(error(from: claimed), at: .fromNet).verdict == (isOurs ? .drop : .redirect))
    #expect(try fixture.counts()["drop_source_address"] == (isOurs ? 2 : 1))
    try fixture.send(error(from: .pod2), at: .fromPod(.pod2)).expect(.redirect)
  }

  /// An address of IPv4's within IPv6 would be judged as IPv4's.
  @Test func mappedAddressOnTheWire() throws {
    let fixture = try DatapathFixture()
    let plain = PacketBuilder().ethernet().ip(from: Party.pod1.address(.ipv6), to: Party.remote.address(.ipv6))
      .udp(from: 40_000, to: 53).payload(count: 40).bytes
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 65, 1, 11]
    for place in [22, 38] {
      var packet = plain
      packet.replaceSubrange(place..<place + 16, with: mapped)
      try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop)
    }
    #expect(try fixture.counts() == ["from_pod": 2, "drop_malformed": 2])
  }
}
