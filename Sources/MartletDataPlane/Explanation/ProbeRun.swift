import BPF
import CBPF
import MartletNetworking
import MartletPolicy
import Netlink

/// Runs the attached programs on packets of which nothing stays behind.
final class ProbeRun {
  /// What a program did with a packet.
  struct Result {
    /// Whether the program dropped it.
    var isDropped: Bool
    /// Whether it answered it: a reset, or an ICMP error.
    var isAnswered: Bool
    /// The counters that grew because of it.
    var counters: Set<String>
    /// The opener's half of the flow that it began.
    var flow: flow?
  }

  private let pins: PinFolder
  private let maps: DatapathMaps
  private let namespaces: HashMapOfNamespaces
  private let judge: Program

  private typealias HashMapOfNamespaces = LRUHashMap<UInt64, UInt32>

  /// Programs and maps that are pinned under `pins`.
  init(_ pins: PinFolder) throws(BPFError) {
    self.pins = pins
    maps = try DatapathMaps(pinnedUnder: pins)
    namespaces = try LRUHashMap(pinned: pins.map("network_namespaces"))
    judge = try Program(pinnedAt: pins.program("judge_packet"))
  }

  /// Whether a program is attached there.
  func isAttached(_ program: String, to interface: InterfaceIndex) -> Bool {
    (try? Link(pinnedAt: pins.link(program, on: interface))) != nil
  }

  /// What the policy set `set` says of the packet as it is, and by which rule; `nil` for the action: nothing.
  func judge(_ packet: PolicyPacket, by set: UInt32) throws(BPFError) -> (action: policy_action?, rule: UInt32) {
    let result = try judge.testRun(ProbeFrame.bytes(packet), context: SocketBufferContext(mark: set))
    return (result.returnValue == 0 ? nil : policy_action(result.returnValue), result.context.controlBlock.0)
  }

  /// The half of a flow that is running and that the packet would be of; a run would change it.
  func runningFlow(of packet: PolicyPacket) throws(BPFError) -> flow? {
    let key = packet.flowTuple.key
    if let confirmed = try maps.flows.get(key) { return confirmed.flow }
    return try maps.unconfirmedFlows.get(key)
  }

  // MARK: - Hooks

  /// Whether the hook ahead of the kernel's buffers drops the packet.
  func isDroppedOnWire(_ packet: PolicyPacket, at interface: InterfaceIndex) throws(BPFError) -> Bool {
    guard isAttached(WireProgram.name, to: interface) else { return false }
    let context = XDPContext(ingressInterface: interface.rawValue)
    return try program(WireProgram.name, interface).testRun(ProbeFrame.bytes(packet), context: context).returnValue == 1
  }

  /// Runs `program` as it is attached to `interface`, whose link address is `receiver`. It is run again as long as
  /// something else may have moved counters in the meantime.
  func run(
    _ name: String, at interface: InterfaceIndex, receiver: MACAddress, _ packet: PolicyPacket
  ) throws(BPFError) -> Result {
    let program = try program(name, interface)
    var result = try run(program, interface, receiver, packet)
    for _ in 0..<8 where result.counters.count(where: { $0.hasPrefix("drop_") }) > 1 {
      result.counters.formIntersection(try run(program, interface, receiver, packet).counters)
    }
    return result
  }

  private func program(_ name: String, _ interface: InterfaceIndex) throws(BPFError) -> Program {
    try Program(id: Link(pinnedAt: pins.link(name, on: interface)).info.programID)
  }

  private func run(
    _ program: borrowing Program, _ interface: InterfaceIndex, _ receiver: MACAddress, _ packet: PolicyPacket
  ) throws(BPFError) -> Result {
    let key = packet.flowTuple.key
    let cookie = try NetworkNamespaceCookie.current()
    let namespace = try namespaces.get(cookie)
    let clients = Self.affinityClients(packet, interface)
    let affinities = try affinities(of: clients)
    let before = try counts()
    let run = try program.testRun(
      ProbeFrame.bytes(packet, to: receiver), context: SocketBufferContext(interface: interface.rawValue))
    let after = try counts()
    let flow = try maps.unconfirmedFlows.get(key)
    if let flow {
      try maps.unconfirmedFlows.remove(key.partner(of: flow))
      try maps.unconfirmedFlows.remove(key)
    }
    // A test run's packet has a socket of the namespace that it is run in.
    if let namespace { try namespaces.set(cookie, namespace) } else { try namespaces.remove(cookie) }
    try restore(affinities, of: clients)
    let grown = Set(after.filter { before[$0.key] != $0.value }.keys)
    return Result(
      isDropped: run.returnValue == 2, isAnswered: run.returnValue == 7 && flow == nil, counters: grown, flow: flow)
  }

  private func counts() throws(BPFError) -> [String: UInt64] {
    Dictionary(try maps.readCounters().map { ($0.name, $0.packets) }) { $1 }
  }

  // MARK: - Session affinity

  /// Whom session affinity may take for the sender of `packet`.
  private static func affinityClients(_ packet: PolicyPacket, _ interface: InterfaceIndex) -> [ip_address] {
    [ip_address(packet.source)] + [interface, .loopback].map { .client(behind: $0, packet.family) }
  }

  private func affinities(of clients: [ip_address]) throws(BPFError) -> [(affinity_key, affinity)] {
    var found: [(affinity_key, affinity)] = []
    try maps.affinity.forEach { key, value throws(BPFError) in
      if clients.contains(where: { $0.isSame(as: key.client) }) { found.append((key, value)) }
    }
    return found
  }

  private func restore(_ before: [(affinity_key, affinity)], of clients: [ip_address]) throws(BPFError) {
    for (key, _) in try affinities(of: clients) where !before.contains(where: { $0.0.isSame(as: key) }) {
      try maps.affinity.remove(key)
    }
    for (key, value) in before { try maps.affinity.set(key, value) }
  }
}

extension PolicyPacket {
  /// The ends by which the packet's flow is known: a message has its identifier as both ports.
  var flowTuple: FlowTuple {
    FlowTuple(
      source: source, destination: destination, sourcePort: sourcePort,
      destinationPort: `protocol`.isICMP ? sourcePort : destinationPort, protocol: `protocol`, icmpQuery: icmpQuery)
  }

  /// The type of a message other than an echo; else 0.
  private var icmpQuery: UInt8 {
    let type = UInt8(destinationPort >> 8)
    return switch `protocol` {
    case .icmp: type == 8 ? 0 : type
    case .icmpv6: type == 128 ? 0 : type
    default: 0
    }
  }

  private var message: PacketDescription.ICMPKind {
    switch (`protocol`, UInt8(destinationPort >> 8)) {
    case (.icmp, 8), (.icmpv6, 128): .echoRequest(identifier: sourcePort)
    case (.icmp, 0), (.icmpv6, 129): .echoReply(identifier: sourcePort)
    case (_, let type): .other(type: type)
    }
  }

  /// The packet as the data plane in memory takes it.
  var described: PacketDescription {
    let transport: PacketDescription.Transport =
      switch `protocol` {
      case .tcp: .tcp(source: sourcePort, destination: destinationPort)
      case .udp: .udp(source: sourcePort, destination: destinationPort)
      case .sctp: .sctp(source: sourcePort, destination: destinationPort)
      case .icmp, .icmpv6: .icmp(message)
      default: .other(`protocol`)
      }
    return PacketDescription(from: source, to: destination, transport)
  }
}

extension ip_address {
  fileprivate func isSame(as other: ip_address) -> Bool { high == other.high && low == other.low }
}

extension affinity_key {
  fileprivate func isSame(as other: affinity_key) -> Bool {
    service == other.service && client.isSame(as: other.client)
  }
}
