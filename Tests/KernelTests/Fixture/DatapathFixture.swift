import BPF
import BPFTesting
import CBPF
import MartletNetworking
import MartletServices
import Synchronization

/// The datapath, run on single packets: no program is attached to anything, `send(_:at:)` runs one by
/// `BPF_PROG_TEST_RUN`, in the namespace and with the interface of the place. So nothing arrives anywhere, and a test sees
/// what the program did with every byte.
///
/// To load the programs takes longer than most tests do, so one that needs nothing unusual gets what another has left,
/// emptied.
final class DatapathFixture: Sendable {
  /// What a test wants other than usual.
  struct Options: Sendable {
    /// In the order of `enum flow_protocol` and `enum flow_state`.
    var timeouts: FlowTimeouts?
    /// Entries of the table of confirmed flows.
    var flowCapacity: UInt32 = 1 << 12
    /// Entries of the table of unconfirmed flows.
    var unconfirmedCapacity: UInt32 = 1 << 12
    /// Of the pods' interfaces.
    var podMTU: UInt32 = 1500
  }

  /// The id of the one service port that there is.
  static let service: UInt32 = 7
  /// The number of the other node, which has `.otherPod`.
  static let otherNode: UInt32 = 3

  private static let idle = Mutex<[LoadedDatapath]>([])

  let datapath: LoadedDatapath
  private let isReusable: Bool
  private let backendsUsed = Mutex<UInt32>(0)

  /// The datapath as usual.
  init() throws {
    datapath = try Self.idle.withLock { $0.popLast() } ?? LoadedDatapath(Options())
    isReusable = true
    try datapath.reset()
  }

  /// A datapath with options, or one whose node may be changed. Only for this test.
  init(_ options: Options) throws {
    datapath = try LoadedDatapath(options)
    isReusable = false
  }

  deinit {
    if isReusable { Self.idle.withLock { [datapath] in $0.append(datapath) } }
  }

  var node: NetworkNamespace { datapath.node }

  /// The slot of a pod in `endpoints`; 0 for others.
  static func slot(_ party: Party) -> UInt32 {
    switch party {
    case .pod1: 1
    case .pod2: 2
    default: 0
    }
  }

  /// What `flow.input_ifindex` holds for packets from `party`'s side.
  func input(_ party: Party) -> UInt32 { datapath.pods[party]?.index ?? (party == .node ? 1 : 0) }
}

// MARK: - Services

extension DatapathFixture {
  /// Makes `party`'s address answer for a service at `port`, by `cluster` or, where a traffic policy asks, `local`.
  func serve(
    at party: Party, _ port: UInt16, _ number: L4Protocol, _ family: AddressFamily, by cluster: [(Party, UInt16)],
    local: [(Party, UInt16)] = [], flags: [frontend_flag] = []
  ) throws {
    var entry = frontend()
    entry.service = Self.service
    entry.flags = flags.reduce(0) { $0 | $1.rawValue }
    entry.cluster = write(cluster, family)
    entry.local = write(local, family)
    var key = frontend_key()
    key.address = ip_address(party.address(family))
    key.port = port.bigEndian
    key.protocol = number.rawValue
    try datapath.frontends.set(key, entry)
  }

  /// Says that UDP flows of `service` rest on `party`, as their backend or frontend, no longer.
  func revoke(_ party: Party, _ port: UInt16, _ family: AddressFamily, of service: UInt32 = DatapathFixture.service)
    throws
  {
    var key = revocation_key()
    key.address = ip_address(party.address(family))
    key.port = port.bigEndian
    key.service = service
    try configure { settings in settings.service_generation += 1 }
    try datapath.revocations.set(key, datapath.settings.get(0)?.service_generation ?? 0)
  }

  private func write(_ list: [(Party, UInt16)], _ family: AddressFamily) -> backend_slice {
    backendsUsed.withLock { used in
      let slice = backend_slice(offset: used, count: UInt32(list.count))
      let entries = list.map { party, port in
        backend(
          address: ip_address(party.address(family)), port: port.bigEndian,
          flags: Self.slot(party) == 0 ? 0 : UInt16(BACKEND_LOCAL.rawValue),
          node: party == .otherPod ? Self.otherNode : 0)
      }
      datapath.backends.write(entries, at: Int(used))
      used += slice.count
      return slice
    }
  }
}

// MARK: - Nodes

extension DatapathFixture {
  /// Makes the other node known, and a tunnel to it. The tunnel's device does not exist: nothing leaves by it.
  func openTunnel(_ family: AddressFamily) throws {
    var other = CBPF.node()
    other.address = ip_address(Party.otherNode.address(family))
    other.mtu = 1450
    try datapath.nodes.set(Self.otherNode, other)
    try configure { $0.tunnel_ifindex = 9_999 }
  }
}

// MARK: - Masquerade

extension DatapathFixture {
  /// Has this node's pods leave with its address.
  func masquerade(_ family: AddressFamily) throws {
    let pods = IPPrefix(Party.pod1.address(family), length: family == .ipv4 ? 24 : 64)
    let flags = PREFIX_POD.rawValue | PREFIX_MASQUERADE.rawValue
    try datapath.prefixes.set(ip_prefix(pods), prefix_entry(flags: flags, node: 0))
  }
}

// MARK: - Policy

extension DatapathFixture {
  var policy: PolicyTables { datapath.policy }

  /// Changes the node's settings.
  func configure(_ change: (inout settings) -> Void) throws {
    var settings = try datapath.settings.get(0) ?? CBPF.settings()
    change(&settings)
    try datapath.settings.set(0, settings)
  }

  /// Says that policies have changed.
  func announcePolicyChange() throws { try configure { $0.policy_generation += 1 } }
}

// MARK: - Packets

extension DatapathFixture {
  /// Runs the program of `place` on a packet there, and says what became of it.
  func send(
    _ packet: [UInt8], at place: Place, mark: UInt32 = 0, segmentSize: UInt32 = 0, segments: UInt32 = 0,
    through: Interface? = nil
  ) throws -> Outcome {
    try sendAll([packet], at: place, mark: mark, segmentSize: segmentSize, segments: segments, through: through)[0]
  }

  /// Runs the program of `place` on a packet there, and says what became of it.
  func send(
    _ packet: PacketBuilder, at place: Place, mark: UInt32 = 0, through: Interface? = nil
  ) throws -> Outcome {
    try send(packet.bytes, at: place, mark: mark, through: through)
  }

  /// Runs the program of `place` on each packet. What the node's stack sends, it has received `through` an interface,
  /// or comes from the node itself.
  func sendAll(
    _ packets: [[UInt8]], at place: Place, mark: UInt32 = 0, segmentSize: UInt32 = 0, segments: UInt32 = 0,
    through: Interface? = nil
  ) throws -> [Outcome] {
    var context = SocketBufferContext(
      mark: mark, ingressInterface: through?.index ?? 0, interface: interface(at: place).index)
    (context.segmentSize, context.segments) = (segmentSize, segments)
    let given = context
    return try node.run {
      let program = try self.datapath.programs.program(named: place.program)
      return try packets.map { packet in
        let result = try program.testRun(packet, context: given)
        return Outcome(verdict: Outcome.Verdict(result.returnValue), packet: result.packet, mark: result.context.mark)
      }
    }
  }

  func interface(at place: Place) -> Interface {
    switch place {
    case .fromPod(let pod), .toPod(let pod): datapath.pods[pod] ?? datapath.network
    case .fromNet, .toNet: datapath.network
    }
  }

  /// A handle of the program that runs at `place`.
  func program(at place: Place) throws -> Program { try datapath.programs.program(named: place.program) }
}

// MARK: - What is left behind

extension DatapathFixture {
  /// The counters that are not zero, by their names.
  func counts() throws -> [String: UInt64] {
    var counts: [String: UInt64] = [:]
    for counter in 0..<UInt32(COUNTER_COUNT.rawValue) {
      let packets = try datapath.counters.get(counter)?.sum(\.packets) ?? 0
      // SAFETY: the name of a counter is static memory.
      if packets > 0 { counts[String(cString: cbpf_counter_name(counter)).lowercased()] = packets }
    }
    return counts
  }

  /// The counters that have grown during `body`, and by how much.
  func counting(_ body: () throws -> Void) throws -> [String: UInt64] {
    let before = try counts()
    try body()
    return try counts().reduce(into: [:]) { growth, count in
      if count.value > before[count.key, default: 0] { growth[count.key] = count.value - before[count.key, default: 0] }
    }
  }

  /// Removes all flows and sets all counters to zero; services and addresses stay.
  func forgetTraffic() throws {
    try datapath.flows.removeAll()
    try datapath.unconfirmedFlows.removeAll()
    while try datapath.expiries.pop() != nil {}
    try datapath.zeroCounters()
  }

  /// Has the datapath look at the flows that are due, as an agent does.
  func expire() throws {
    let program = try datapath.programs.program(named: "expire")
    _ = try program.testRun([UInt8](repeating: 0, count: 14), context: SocketBufferContext())
  }

  /// The half of a flow that packets from `source` to `destination` find. Of ICMP, the half of the questions, or that of the answers if there is none.
  func half(_ number: L4Protocol, _ source: EndAddress, _ destination: EndAddress) throws -> FlowHalf? {
    var key = flow_tuple(number, source, destination)
    if let half = try half(key) { return half }
    guard number.isICMP else { return nil }
    key.icmp_answer = 1
    return try half(key)
  }

  private func half(_ key: flow_tuple) throws -> FlowHalf? {
    if let confirmed = try datapath.flows.get(key) { return FlowHalf(confirmed.flow, isConfirmed: true) }
    return try datapath.unconfirmedFlows.get(key).map { FlowHalf($0, isConfirmed: false) }
  }

  /// How many halves of flows there are.
  func halfCounts() throws -> (confirmed: Int, unconfirmed: Int) {
    var (confirmed, unconfirmed) = (0, 0)
    try datapath.flows.forEach { _, _ throws(BPFError) in confirmed += 1 }
    try datapath.unconfirmedFlows.forEach { _, _ throws(BPFError) in unconfirmed += 1 }
    return (confirmed, unconfirmed)
  }
}
