import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

/// Packets of a tunnel that somebody might take for a node's: pods may not make them, unless the node says so.
@Suite(.requiresBPF) struct WorkloadTunnelTests {
  /// What is inside: somebody else's packet.
  private func inner(_ family: AddressFamily) -> PacketBuilder {
    PacketBuilder().ip(from: Party.otherNode.address(family), to: Party.node.address(family))
      .udp(from: 1, to: 2).payload(count: 8)
  }

  /// VXLAN at the port of everybody and of the nodes' own tunnel, and IP of either family in IP.
  private func packets(_ family: AddressFamily, from client: Party, to server: Party) -> [(String, PacketBuilder)] {
    func ip(_ number: UInt8? = nil) -> PacketBuilder {
      PacketBuilder().ethernet().ip(from: client.address(family), to: server.address(family), protocol: number)
    }
    let frame = PacketBuilder().ethernet().packet(inner(family))
    return [UInt16(4_789), 14_789].map { ("VXLAN to \($0)", ip().udp(from: 40_000, to: $0).vxlan(1).packet(frame)) } + [
      ("IPv4 inside", ip(4).payload(inner(.ipv4).bytes)), ("IPv6 inside", ip(41).payload(inner(.ipv6).bytes)),
    ]
  }

  @Test(arguments: AddressFamily.allCases)
  func `A pod's tunnel packets are dropped, to whomever they go`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    for server in [Party.pod2, .node, .otherNode, .otherPod, .remote] {
      try fixture.forgetTraffic()
      for (name, packet) in packets(family, from: .pod1, to: server) {
        try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop, nil, "\(name), to \(server)")
      }
      #expect(try fixture.counts() == ["from_pod": 4, "drop_workload_tunnel": 4], "\(server)")
      #expect(try fixture.halfCounts() == (0, 0))
    }
  }

  @Test(arguments: AddressFamily.allCases)
  func `By way of a service they are dropped as well`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    for (server, port) in [(Party.pod2, UInt16(4_789)), (.otherNode, 4_789), (.otherNode, 14_789)] {
      try fixture.forgetTraffic()
      try fixture.serve(at: .service, 80, .udp, family, by: [(server, port)])
      let packet = PacketBuilder().ethernet().ip(from: Party.pod1.address(family), to: Party.service.address(family))
        .udp(from: 40_000, to: 80).payload(count: 40)
      try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop)
      #expect(try fixture.counts() == ["from_pod": 1, "drop_workload_tunnel": 1], "\(server) \(port)")
      #expect(try fixture.halfCounts() == (0, 0))
    }
  }

  @Test(arguments: AddressFamily.allCases)
  func `Where pods may have tunnels, theirs go on like anything else`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.configure { $0.workload_tunnels = 1 }
    for server in [Party.pod2, .remote] {
      for (name, packet) in packets(family, from: .pod1, to: server) {
        try fixture.send(packet, at: .fromPod(.pod1)).expect(.redirect, nil, "\(name), to \(server)")
      }
    }
    #expect(try fixture.counts() == ["from_pod": 8, "flows_created": 8])
    // And are judged like anything else.
    try fixture.forgetTraffic()
    fixture.policy.assign(.pod1, egress: fixture.policy.write([]))
    for (_, packet) in packets(family, from: .pod1, to: .remote) {
      try fixture.send(packet, at: .fromPod(.pod1)).expect(.drop)
    }
    #expect(try fixture.counts() == ["from_pod": 4, "drop_policy_egress": 4])
  }

  @Test(arguments: AddressFamily.allCases)
  func `Tunnel packets from the network are the business of whom they are for`(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    for (name, packet) in packets(family, from: .client, to: .node) {
      try fixture.send(packet, at: .fromNet).expect(.pass, packet, "\(name), to the node")
    }
    for (name, packet) in packets(family, from: .client, to: .pod1) {
      try fixture.send(packet, at: .fromNet).expect(.redirect, nil, "\(name), to a pod")
    }
    #expect(try fixture.counts() == ["from_net": 8, "flows_created": 4])
    // A pod's policy sees that as well, and so does whoever is blocked.
    try fixture.forgetTraffic()
    fixture.policy.assign(.pod1, ingress: fixture.policy.write([]))
    for (_, packet) in packets(family, from: .client, to: .pod1) {
      try fixture.send(packet, at: .fromNet).expect(.drop)
    }
    #expect(try fixture.counts()["drop_policy_ingress"] == 4)
    try fixture.policy.block(IPPrefix(Party.client.address(family)))
    fixture.policy.publish(untracked: UNTRACKED_BLOCKED.rawValue)
    for (name, packet) in packets(family, from: .client, to: .node) {
      let verdict: Outcome.Verdict = name == "VXLAN to 14789" ? .pass : .drop
      try fixture.send(packet, at: .fromNet).expect(verdict, nil, "\(name), to the node")
    }
    for (name, packet) in packets(family, from: .client, to: .pod1) {
      try fixture.send(packet, at: .fromNet).expect(.drop, nil, "\(name), to a pod")
    }
    #expect(try fixture.counts()["drop_blocked"] == 7)
  }
}
