import BPF
import BPFTesting
import CBPF
import Glibc
import MartletNetworking
import MartletServices
import Testing

/// Connections that begin out of the ordinary.
@Suite(.requiresBPF, .serialized) struct ConnectionBeginTests {
  private func ends(_ family: AddressFamily) -> (client: EndAddress, service: EndAddress, server: EndAddress) {
    (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.service.address(family), 80),
      EndAddress(Party.pod2.address(family), 8080)
    )
  }

  @Test(arguments: AddressFamily.allCases) func openersFirstWordMayBeItsLast(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, .tcp, family, by: [(.pod2, 8080)])
    let (client, service, server) = ends(family)
    func segment(_ flags: TCPFlags, _ sequence: UInt32, _ count: Int = 0) throws {
      try fixture.send(
        PacketBuilder().ethernet().ip(from: client.address, to: service.address)
          .tcp(from: client.port, to: service.port, flags: flags, sequence: sequence).payload(count: count),
        at: .fromPod(.pod1)
      ).expect(.redirect)
    }
    func answer() throws {
      try fixture.send(Conversation.tcp.packet(.answer, from: server, to: client), at: .fromPod(.pod2)).expect(
        .redirect)
    }
    try segment(.syn, 100)
    try answer()
    try segment([.fin, .ack], 101, 20)
    let half = try fixture.half(.tcp, client, service)
    #expect(half?.isConfirmed == true, "a flood of openings evicts it no more")
    #expect(half?.state == .closing)
    // A scan leaves nothing behind that lasts.
    let other = try DatapathFixture()
    try other.serve(at: .service, 80, .tcp, family, by: [(.pod2, 8080)])
    for (turn, place) in [(Conversation.Turn.opening, Place.fromPod(.pod1)), (.answer, .fromPod(.pod2))] {
      let packet =
        turn == .opening
        ? Conversation.tcp.packet(turn, from: client, to: service)
        : Conversation.tcp.packet(turn, from: server, to: client)
      try other.send(packet, at: place).expect(.redirect)
    }
    let reset = PacketBuilder().ethernet().ip(from: client.address, to: service.address)
      .tcp(from: client.port, to: service.port, flags: .rst, sequence: 1_000)
    try other.send(reset, at: .fromPod(.pod1)).expect(.redirect)
    #expect(try other.half(.tcp, client, service)?.isConfirmed == false)
  }

  @Test func connectionThatThereIsNoRoomForMayRest() throws {
    var options = DatapathFixture.Options()
    options.timeouts = FlowTimeouts(
      new: .milliseconds(150), replied: .milliseconds(150), established: .seconds(100), closing: .seconds(100),
      closed: .seconds(100))
    options.flowCapacity = 4
    let fixture = try DatapathFixture(options)
    try fixture.serve(at: .service, 80, .tcp, .ipv4, by: [(.pod2, 8080)])
    let (_, service, server) = ends(.ipv4)
    let clients = (UInt16(40_000)..<40_004).map { EndAddress(Party.pod1.address(.ipv4), $0) }
    for client in clients {
      try fixture.send(Conversation.tcp.packet(.opening, from: client, to: service), at: .fromPod(.pod1)).expect(
        .redirect)
      try fixture.send(Conversation.tcp.packet(.answer, from: server, to: client), at: .fromPod(.pod2)).expect(
        .redirect)
      try fixture.send(Conversation.tcp.packet(.confirmation, from: client, to: service), at: .fromPod(.pod1))
        .expect(.redirect)
    }
    #expect(try fixture.counts()["flows_unconfirmable"] ?? 0 > 0)
    usleep(400_000)
    for client in clients {
      try fixture.send(Conversation.tcp.packet(.data, from: client, to: service), at: .fromPod(.pod1)).expect(.redirect)
    }
    #expect(try fixture.counts()["drop_invalid_tcp_state"] == nil)
  }

  @Test(arguments: AddressFamily.allCases) func associationOnTheTupleOfOneThatHasEnded(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, .sctp, family, by: [(.pod2, 8080)])
    let (client, service, server) = ends(family)
    func say(_ chunk: UInt8, _ from: EndAddress, _ to: EndAddress, _ pod: Party) throws {
      try fixture.send(
        PacketBuilder().ethernet().ip(from: from.address, to: to.address).sctp(from: from.port, to: to.port)
          .payload([chunk, 0, 0, 20] + (0..<16).map { UInt8($0) }), at: .fromPod(pod)
      ).expect(.redirect)
    }
    // INIT, COOKIE ECHO, SHUTDOWN, SHUTDOWN COMPLETE, each answered but the last.
    for chunk: UInt8 in [1, 10, 7, 14] {
      try say(chunk, client, service, .pod1)
      if chunk != 14 { try say(chunk + 1, server, client, .pod2) }
    }
    #expect(try fixture.half(.sctp, client, service)?.state == .closed)
    try fixture.serve(at: .service, 80, .sctp, family, by: [(.otherPod, 8080)])
    try say(1, client, service, .pod1)
    let half = try fixture.half(.sctp, client, service)
    #expect(half?.state == .new)
    #expect(half?.destination.address == Party.otherPod.address(family), "it asks the service anew")
  }

  /// The answer may be on its way to the client, directly.
  @Test(arguments: [false, true]) func repeatedOpening(direct: Bool) throws {
    let fixture = try DatapathFixture()
    try fixture.openTunnel(.ipv4)
    var other = CBPF.node()
    other.address = ip_address(IPAddress(192, 168, 50, 13))
    other.mtu = 1_450
    try fixture.datapath.nodes.set(4, other)
    try fixture.serve(
      at: .externalIP, 80, .tcp, .ipv4, by: [(.otherPod, 8080), (.otherPod, 8081)],
      flags: direct ? [FRONTEND_DSR, FRONTEND_EXTERNAL] : [FRONTEND_EXTERNAL])
    let nodes: [UInt32] = [DatapathFixture.otherNode, 4]
    fixture.datapath.backends.write(
      zip(nodes, [IPAddress(10, 65, 2, 11), IPAddress(10, 65, 3, 11)]).map { node, address in
        backend(address: ip_address(address), port: UInt16(8080).bigEndian, flags: 0, node: node)
      }, at: 0)
    let client = EndAddress(Party.remote.address(.ipv4), 40_000)
    let service = EndAddress(Party.externalIP.address(.ipv4), 80)
    let seen = try (0..<20).map { _ in
      try fixture.send(Conversation.tcp.packet(.opening, from: client, to: service), at: .fromNet).expect(.redirect)
      return try fixture.datapath.unconfirmedFlows.get(flow_tuple(.tcp, client, service))?.tunnel_node
    }
    #expect(Set(seen).count == (direct ? 1 : 2))
  }
}
