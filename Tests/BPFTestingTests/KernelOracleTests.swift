import BPFTesting
import MartletNetworking
import Testing

/// A namespace with an echo server, and the other end of its wire.
private struct Wire {
  let socket: PacketSocket
  /// A frame to the namespace, up to the IP header.
  let base: PacketBuilder
  /// The same with IPv4 options, or with IPv6 extension headers.
  let extended: PacketBuilder
  private let server: EchoServer

  init(_ family: AddressFamily) throws {
    let (near, far) = (try NetworkNamespace(), try NetworkNamespace())
    let pair = try near.addVeth("eth0", peer: far, "eth0")
    let isIPv4 = family == .ipv4
    let source = isIPv4 ? IPAddress(10, 0, 0, 1) : IPAddress(bits: 0xfd50 << 112 | 1)
    let destination = isIPv4 ? IPAddress(10, 0, 0, 2) : IPAddress(bits: 0xfd50 << 112 | 2)
    try far.addAddress(destination, length: isIPv4 ? 24 : 64, to: "eth0")
    try far.ip("neigh add \(source) lladdr \(pair.near.mac) dev eth0 nud permanent")
    try far.command("ethtool", "-K", "eth0", "tx", "off")
    socket = try PacketSocket(pair.near)
    server = try EchoServer("far", .udp, port: 7, in: far)
    let ethernet = PacketBuilder().ethernet(from: pair.near.mac, to: pair.far.mac)
    base = ethernet.ip(from: source, to: destination)
    extended =
      isIPv4
      ? ethernet.ip(from: source, to: destination, options: [1, 1, 1]) : base.hopByHopOptions().destinationOptions()
  }
}

/// The kernel's own stack judges what the builder makes: it drops what has a wrong checksum or length. And what the
/// kernel makes, the parser has to find sound.
@Suite(.requiresBPF) struct KernelOracleTests {
  enum Wrapping: String, CaseIterable, Sendable { case plain, extended, fragmented }

  @Test(arguments: AddressFamily.allCases, Wrapping.allCases)
  func udpIsAnsweredSoundly(family: AddressFamily, wrapping: Wrapping) throws {
    let wire = try Wire(family)
    let outer = wrapping == .extended ? wire.extended : wire.base
    let request = outer.udp(from: 5000, to: 7).payload(count: 201)
    for frame in wrapping == .fragmented ? request.fragments(ofAtMost: 64) : [request.bytes] {
      try wire.socket.send(frame)
    }
    let reply = try #require(try wire.socket.receive { $0.destinationPort == 5000 })
    #expect(reply.problems == [], "\(reply)")
    #expect(String(decoding: reply.payload, as: UTF8.self).hasSuffix(" 201\n"))
  }

  @Test(arguments: AddressFamily.allCases) func wrongChecksumIsNotAnswered(family: AddressFamily) throws {
    let wire = try Wire(family)
    try wire.socket.send(wire.base.udp(from: 5000, to: 7, checksum: 0xdead).payload(count: 3).bytes)
    #expect(try wire.socket.receive(timeout: .milliseconds(200)) { $0.destinationPort == 5000 } == nil)
  }

  @Test(arguments: AddressFamily.allCases) func tcpToAClosedPortIsReset(family: AddressFamily) throws {
    let wire = try Wire(family)
    try wire.socket.send(wire.base.tcp(from: 5000, to: 81, flags: .syn, options: [2, 4, 5, 0xb4]).bytes)
    let reply = try #require(try wire.socket.receive { $0.destinationPort == 5000 })
    #expect(reply.tcp?.flags == [.rst, .ack])
    #expect(reply.problems == [], "\(reply)")
  }

  @Test(arguments: AddressFamily.allCases) func pingIsAnswered(family: AddressFamily) throws {
    let wire = try Wire(family)
    try wire.socket.send(wire.base.icmp(.echoRequest(identifier: 5, sequence: 6)).payload(count: 56).bytes)
    let reply = try #require(try wire.socket.receive { $0.icmp == .echoReply(identifier: 5, sequence: 6) })
    #expect(reply.problems == [], "\(reply)")
    #expect(reply.payload.count == 56)
  }

  @Test(arguments: AddressFamily.allCases) func errorQuotesTheRequest(family: AddressFamily) throws {
    let wire = try Wire(family)
    try wire.socket.send(wire.base.udp(from: 5000, to: 99).payload(count: 30).bytes)
    let error = try #require(try wire.socket.receive { $0.icmp == .unreachable(.port) })
    #expect(error.problems == [], "\(error)")
    #expect(error.inner?.sourcePort == 5000)
  }
}
