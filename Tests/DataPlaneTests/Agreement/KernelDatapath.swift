import BPF
import BPFPrograms
import BPFTesting
import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Netlink
import Testing

@testable import MartletDataPlane

/// The datapath's programs with maps of their own, attached to nothing, in a namespace with an interface for each of
/// this node's pods and one to the network. Its tables are filled from those of an ``InMemoryDataPlane``.
///
/// SAFETY: `policy` and `state` belong to ``copy(_:)``, of which a test makes one call at a time.
final class KernelDatapath: @unchecked Sendable {
  /// What a program did with a packet.
  struct Result {
    var code: UInt32
    var isDecided: Bool
    /// The tuple of the packet as the program left it.
    var tuple: FlowTuple?
    /// The counters that have grown.
    var counters: Set<String>
    /// The half of the packet's flow.
    var flow: flow?
  }

  private let namespace: NetworkNamespace
  private let world: NetworkNamespace
  private let network: Interface
  private let tunnel: Interface
  private let pods: [NamespacedName: Interface]
  private let programs: Object
  private let maps: DatapathMaps
  private let policy: NodePolicy
  private var state = ClusterState()

  init() throws {
    namespace = try NetworkNamespace()
    world = try NetworkNamespace()
    network = try namespace.addVeth("eth0", peer: world, "eth0").near
    // As frames have it for whom they are for.
    try namespace.ip("link set eth0 address \(MACAddress(2, 0, 0, 0, 0, 2))")
    tunnel = try namespace.addVeth("tunnel", peer: world, "tunnel").near
    pods = [
      Scene.a: try namespace.addVeth("pod-a", peer: world, "pod-a").near,
      Scene.b: try namespace.addVeth("pod-b", peer: world, "pod-b").near,
    ]
    // The way out decides which policies of the host a flow meets.
    try namespace.setSysctl("net.ipv4.ip_forward", "1")
    try namespace.setSysctl("net.ipv6.conf.all.forwarding", "1")
    try namespace.ip(
      "address add 192.168.50.11/24 dev eth0", "route add default via 192.168.50.1 dev eth0",
      "route add default via fe80::1 dev eth0")
    let opening = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc")
    for map in ["flows", "expiries", "unconfirmed_flows", "affinity"] { try opening.resize(map: map, to: 1 << 10) }
    programs = try opening.load()
    maps = try DatapathMaps(of: programs)
    policy = NodePolicy(NodePolicyMaps(try DatapathPolicyMaps(of: programs)), Scene.configuration)
  }

  // MARK: - Tables

  /// Makes the tables those of `dataPlane`, with this namespace's interfaces.
  func copy(_ dataPlane: InMemoryDataPlane) throws {
    let tables = dataPlane.tables
    try Self.copy(tables.frontends, to: maps.frontends)
    try Self.copy(tables.sourceRanges, to: maps.sourceRanges)
    try Self.copy(tables.addresses, to: maps.addresses)
    try Self.copy(tables.prefixes, to: maps.prefixes)
    maps.backends.write((0..<1 << 10).map(tables.backends.read), at: 0)
    maps.maglev.write((0..<1 << 12).map(tables.maglev.read), at: 0)
    for number in 1..<UInt32(8) {
      var node = try #require(try tables.nodes.get(number))
      node.ifindex = network.index
      try maps.nodes.set(number, node)
    }
    for (name, interface) in pods {
      guard let slot = dataPlane.slot(of: name) else { continue }
      try maps.endpoints.set(slot, endpoint(ifindex: interface.index, mtu: 1_500))
    }
    try copyPolicies(dataPlane)
    var settings = dataPlane.settings
    settings.tunnel_ifindex = tunnel.index
    try maps.settings.set(0, settings)
  }

  /// Judges by the same policies, compiled once more.
  private func copyPolicies(_ dataPlane: InMemoryDataPlane) throws {
    try #require(policy.apply(state.changes(to: dataPlane.state)) == [])
    _ = policy.reclaim()
    let interface = HostInterface(index: InterfaceIndex(network.index), name: "eth0", addresses: [])
    try #require(policy.protect([interface]) == [])
    state = dataPlane.state
    let slots = pods.keys.compactMap { name in dataPlane.slot(of: name).map { (name, $0) } }
    try #require(policy.assign(Dictionary(uniqueKeysWithValues: slots)) == [])
  }

  private static func copy<Key, Value>(
    _ table: MemoryMap<Key, Value>, to map: some MapStorage<Key, Value>
  ) throws {
    try empty(map)
    try table.forEach { key, value throws(BPFError) in try map.set(key, value) }
  }

  private static func empty<Map: MapStorage & ~Copyable>(_ map: borrowing Map) throws {
    var keys: [Map.Key] = []
    try map.forEach { key, _ throws(BPFError) in keys.append(key) }
    for key in keys { try map.remove(key) }
  }

  /// Forgets flows and affinity.
  func forget() throws {
    try Self.empty(maps.flows)
    try Self.empty(maps.unconfirmedFlows)
    try Self.empty(maps.affinity)
  }

  // MARK: - Packets

  /// Runs the program that sees packets from `origin` on `packet`.
  func send(_ packet: PacketDescription, from origin: PacketOrigin) throws -> Result {
    let before = try counts()
    let (name, interface) = try place(origin, packet)
    let context = SocketBufferContext(interface: interface)
    let bytes = packet.bytes
    let run = try namespace.run {
      let result = try self.programs.program(named: name).testRun(bytes, context: context)
      return (result.returnValue, result.context.mark, result.packet)
    }
    let after = try counts()
    return Result(
      code: run.0, isDecided: run.1 & 0x0080_0000 != 0, tuple: FlowTuple(ParsedPacket(run.2)),
      counters: Set(after.filter { before[$0.key] != $0.value }.keys),
      flow: try maps.unconfirmedFlows.get(packet.tuple.key))
  }

  private func place(_ origin: PacketOrigin, _ packet: PacketDescription) throws -> (program: String, UInt32) {
    switch origin {
    case .pod(let name): ("from_pod", try #require(pods[name]).index)
    case .network: ("from_net", network.index)
    case .host: try isOwn(packet.destination) ? ("to_host", 1) : ("to_net", network.index)
    case .tunnel: ("from_tunnel", tunnel.index)
    }
  }

  private func isOwn(_ address: IPAddress) throws -> Bool {
    try maps.addresses.get(ip_address(address))?.kind == ADDRESS_THIS_NODE.rawValue
  }

  private func counts() throws -> [String: UInt64] {
    Dictionary(uniqueKeysWithValues: try maps.readCounters().map { ($0.name, $0.packets) })
  }
}

extension FlowTuple {
  init?(_ packet: ParsedPacket) {
    guard let ip = packet.ip else { return nil }
    var ports: (UInt16, UInt16) = (packet.sourcePort ?? 0, packet.destinationPort ?? 0)
    let isAnswer = if case .echoReply = packet.icmp { true } else { false }
    switch packet.icmp {
    case .echoRequest(let identifier, _), .echoReply(let identifier, _): ports = (identifier, identifier)
    default: break
    }
    self.init(
      source: ip.source, destination: ip.destination, sourcePort: ports.0, destinationPort: ports.1,
      protocol: ip.protocolNumber, isICMPAnswer: isAnswer)
  }
}

extension PacketDescription {
  /// The packet on the wire.
  var bytes: [UInt8] {
    let ip = PacketBuilder().ethernet().ip(
      from: source, to: destination, timeToLive: timeToLive, protocol: `protocol`.rawValue)
    switch transport {
    case .tcp(let source, let destination, let flags):
      return ip.tcp(from: source, to: destination, flags: BPFTesting.TCPFlags(rawValue: flags.rawValue)).bytes
    case .udp(let source, let destination): return ip.udp(from: source, to: destination).payload("martlet").bytes
    case .sctp(let source, let destination, let chunk):
      return ip.sctp(from: source, to: destination).payload([chunk, 0, 0, 4]).bytes
    case .icmp(.echoRequest(let identifier)): return ip.icmp(.echoRequest(identifier: identifier, sequence: 1)).bytes
    case .icmp(.echoReply(let identifier)): return ip.icmp(.echoReply(identifier: identifier, sequence: 1)).bytes
    case .icmp, .other: return ip.payload(count: 16).bytes
    }
  }
}
