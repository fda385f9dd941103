import BPF
import BPFTesting
import CBPF
import Glibc
import MartletNetworking
import Testing

/// Flows that rest on what is no more: nobody looks for them, and each finds out by its next packet.
@Suite(.requiresBPF) struct StaleFlowTests {
  /// A pod asks a service, which `.otherPod` serves, on another node.
  private struct Flow {
    let fixture: DatapathFixture
    let family: AddressFamily
    let number: L4Protocol
    let client: EndAddress
    let service: EndAddress

    init(_ number: L4Protocol, _ family: AddressFamily) throws {
      (self.family, self.number) = (family, number)
      fixture = try DatapathFixture()
      client = EndAddress(Party.pod1.address(family), 40_000)
      service = EndAddress(Party.service.address(family), 80)
      try serve(by: .otherPod)
      for turn in [Conversation.Turn.opening, .answer, .confirmation] {
        try (turn == .answer ? answer(turn) : ask(turn)).expect(.redirect)
      }
      #expect(try backend() == Party.otherPod.address(family))
    }

    var talk: Conversation { number == .udp ? .udp : .tcp }

    func serve(by party: Party) throws { try fixture.serve(at: .service, 80, number, family, by: [(party, 8080)]) }

    func ask(_ turn: Conversation.Turn = .data) throws -> Outcome {
      try fixture.send(talk.packet(turn, from: client, to: service), at: .fromPod(.pod1))
    }

    func answer(_ turn: Conversation.Turn = .data) throws -> Outcome {
      let server = EndAddress(Party.otherPod.address(family), 8080)
      return try fixture.send(talk.packet(turn, from: server, to: client), at: .fromNet)
    }

    func answerTranslated() -> PacketBuilder {
      talk.packet(.data, from: service, to: client, timeToLive: 63)
    }

    func backend() throws -> IPAddress? { try fixture.half(number, client, service)?.destination.address }
  }

  @Test(arguments: AddressFamily.allCases)
  func `UDP leaves a backend that serves no longer, and hears what it had yet to say`(family: AddressFamily) throws {
    let flow = try Flow(.udp, family)
    try flow.serve(by: .pod2)
    try flow.fixture.revoke(.otherPod, 8080, family)
    try flow.answer().expect(.redirect, flow.answerTranslated())
    #expect(try flow.backend() == Party.otherPod.address(family))
    try flow.ask().expect(.redirect)
    #expect(try flow.backend() == Party.pod2.address(family))
    // Which is younger than the revocation, and so good.
    try flow.fixture.configure { $0.service_generation += 1 }
    let counts = try flow.fixture.counting { try flow.ask().expect(.redirect) }
    #expect(counts["flows_created"] == nil)
  }

  /// Through an overlay, where the backend is chosen here all the same.
  @Test(arguments: AddressFamily.allCases)
  func `UDP leaves a backend of another node for one of the same`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.openTunnel(family)
    try fixture.configure { $0.overlay = 1 }
    let remote = IPPrefix(Party.otherPod.address(family))
    try fixture.datapath.prefixes.set(
      ip_prefix(remote), prefix_entry(flags: PREFIX_POD.rawValue, node: DatapathFixture.otherNode))
    let client = EndAddress(Party.pod1.address(family), 40_000)
    let service = EndAddress(Party.service.address(family), 80)
    func ask() throws -> EndAddress? {
      try fixture.send(Conversation.udp.packet(.opening, from: client, to: service), at: .fromPod(.pod1))
        .expect(.redirect)
      return try fixture.half(.udp, client, service)?.destination
    }
    try fixture.serve(at: .service, 80, .udp, family, by: [(.otherPod, 8080)])
    #expect(try ask()?.port == 8080)
    #expect(
      try fixture.datapath.unconfirmedFlows.get(flow_tuple(.udp, client, service))?.tunnel_node
        == DatapathFixture.otherNode)
    try fixture.serve(at: .service, 80, .udp, family, by: [(.otherPod, 8081)])
    try fixture.revoke(.otherPod, 8080, family)
    #expect(try ask()?.port == 8081)
  }

  @Test(arguments: AddressFamily.allCases)
  func `UDP leaves a service whose frontend is gone`(family: AddressFamily) throws {
    let flow = try Flow(.udp, family)
    try flow.fixture.datapath.frontends.removeAll()
    try flow.fixture.revoke(.service, 80, family)
    let counts = try flow.fixture.counting { _ = try flow.ask() }
    #expect(counts["refused"] == 1)
    #expect(try flow.backend() == nil)
  }

  @Test(arguments: AddressFamily.allCases)
  func `UDP that went untranslated finds the frontend that came later`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    let (client, asked) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.externalIP.address(family), 53)
    )
    func ask() throws {
      try fixture.send(Conversation.udp.packet(.data, from: client, to: asked), at: .fromPod(.pod1)).expect(.redirect)
    }
    try ask()
    #expect(try fixture.half(.udp, client, asked)?.service == 0)
    try fixture.serve(at: .externalIP, 53, .udp, family, by: [(.pod2, 5353)])
    try fixture.revoke(.externalIP, 53, family, of: 0)
    try ask()
    #expect(try fixture.half(.udp, client, asked)?.destination == EndAddress(Party.pod2.address(family), 5353))
  }

  @Test(arguments: AddressFamily.allCases)
  func `A revocation concerns nobody else`(family: AddressFamily) throws {
    let udp = try Flow(.udp, family)
    try udp.serve(by: .pod2)
    try udp.fixture.revoke(.otherPod, 8081, family)
    try udp.fixture.revoke(.otherPod, 8080, family, of: DatapathFixture.service + 1)
    try udp.fixture.revoke(.pod2, 8080, family)
    try udp.ask().expect(.redirect)
    #expect(try udp.backend() == Party.otherPod.address(family))
    let tcp = try Flow(.tcp, family)
    try tcp.serve(by: .pod2)
    try tcp.fixture.revoke(.otherPod, 8080, family)
    try tcp.ask().expect(.redirect)
    #expect(try tcp.backend() == Party.otherPod.address(family), "connections go on to their end")
  }

  // MARK: - Pods

  /// Has the pod go, and another take its slot.
  private func replace(_ pod: Party, _ fixture: DatapathFixture, _ family: AddressFamily) throws {
    try fixture.datapath.addresses.remove(ip_address(pod.address(family)))
    let entry = address_entry(kind: ADDRESS_LOCAL_POD.rawValue, index: DatapathFixture.slot(pod))
    try fixture.datapath.addresses.set(ip_address(Party.otherPod.address(family)), entry)
    try fixture.announcePolicyChange()
  }

  private static let directions = AddressFamily.allCases.flatMap { family in [(family, true), (family, false)] }

  @Test(arguments: directions)
  func `A flow of a pod that is gone does not find the one in its place`(family: AddressFamily, byOpener: Bool) throws {
    let fixture = try DatapathFixture()
    let client = EndAddress(Party.client.address(family), 40_000)
    let server = EndAddress(Party.pod2.address(family), 8080)
    let talk = Conversation.tcp
    try fixture.send(talk.packet(.opening, from: client, to: server), at: .fromNet).expect(.redirect)
    try fixture.send(talk.packet(.answer, from: server, to: client), at: .fromPod(.pod2)).expect(.redirect)
    try fixture.send(talk.packet(.confirmation, from: client, to: server), at: .fromNet).expect(.redirect)
    try replace(.pod2, fixture, family)
    let counts = try fixture.counting {
      let packet =
        byOpener ? talk.packet(.data, from: client, to: server) : talk.packet(.data, from: server, to: client)
      _ = try fixture.send(packet, at: byOpener ? .fromNet : .fromPod(.pod2))
    }
    #expect(try fixture.halfCounts() == (0, 0))
    #expect(counts["drop_source_address"] == (byOpener ? nil : 1))
  }

  @Test func `A flow of a pod that is gone expires at its next turn, however short a time it has been idle`() throws {
    var options = DatapathFixture.Options()
    options.timeouts = FlowTimeouts(
      new: .seconds(60), replied: .seconds(60), established: .seconds(60), closing: .seconds(60), closed: .seconds(60))
    let fixture = try DatapathFixture(options)
    let client = EndAddress(Party.client.address(.ipv4), 40_000)
    let server = EndAddress(Party.pod2.address(.ipv4), 8080)
    let talk = Conversation.tcp
    try fixture.send(talk.packet(.opening, from: client, to: server), at: .fromNet).expect(.redirect)
    try fixture.send(talk.packet(.answer, from: server, to: client), at: .fromPod(.pod2)).expect(.redirect)
    try fixture.send(talk.packet(.confirmation, from: client, to: server), at: .fromNet).expect(.redirect)
    func expire() throws {
      for _ in 0..<3 {
        usleep(40_000)
        try fixture.expire()
      }
    }
    try expire()
    #expect(try fixture.halfCounts() == (2, 0))
    try replace(.pod2, fixture, .ipv4)
    try expire()
    #expect(try fixture.halfCounts() == (0, 0))
  }
}
