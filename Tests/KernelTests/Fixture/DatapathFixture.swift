import BPF
import BPFPrograms
import BPFTesting
import CBPF
import Networking
import Services
import Synchronization

/// The datapath's programs with maps of their own, run on single packets in a namespace that looks like a node.
///
///     pod1 ── pod1 ┐
///                  ├ node ── eth0 ── client, other node, router ── remote
///     pod2 ── pod2 ┘
///
/// No program is attached to anything: `send(_:at:)` runs one by `BPF_PROG_TEST_RUN`, in the namespace and with the
/// interface of the place. So nothing arrives anywhere, and a test sees what the program did with every byte. The node's
/// interfaces, routes and neighbours are real, for the datapath asks the kernel about them.
final class DatapathFixture: Sendable {
  /// What a test wants other than usual.
  struct Options {
    /// In the order of `enum flow_protocol` and `enum flow_state`, nanoseconds.
    var timeouts: FlowTimeouts?
    /// Entries of the table of confirmed flows.
    var flowCapacity: UInt32 = 1 << 12
    /// Entries of the table of unconfirmed flows.
    var unconfirmedCapacity: UInt32 = 1 << 12
    /// Of the pods' interfaces.
    var podMTU: UInt32 = 1500
  }

  static let services: UInt32 = 7

  let node: NetworkNamespace
  let network: Interface
  let pods: [Party: Interface]
  /// The link address of the hosts on the wire.
  let routerMAC: MACAddress

  let flows: HashMap<flow_tuple, confirmed_flow>
  let unconfirmedFlows: LRUHashMap<flow_tuple, flow>
  let addresses: HashMap<ip_address, address_entry>
  let sourceRanges: LPMTrieMap<source_range_key, UInt32>
  let fragments: LRUHashMap<fragment_key, fragment_ports>
  let settings: ArrayMap<settings>
  let endpoints: ArrayMap<endpoint>

  private let frontends: HashMap<frontend_key, frontend>
  private let backends: MappedArray<backend>
  private let prefixes: LPMTrieMap<ip_prefix, prefix_entry>
  private let counters: PerCPUArrayMap<counter_value>
  private let programs: Object
  /// The namespace that holds the far ends of all interfaces.
  private let world: NetworkNamespace
  private let backendsUsed = Mutex<UInt32>(0)

  init(_ options: Options = Options()) throws {
    node = try NetworkNamespace()
    world = try NetworkNamespace()
    let wire = try node.addVeth("eth0", peer: world, "wire")
    network = wire.near
    routerMAC = wire.far.mac
    pods = [
      .pod1: try node.addVeth("pod1", peer: world, "pod1").near,
      .pod2: try node.addVeth("pod2", peer: world, "pod2").near,
    ]
    let programs = try Self.load(options)
    flows = try HashMap(programs.mapDescriptor(named: "flows"))
    unconfirmedFlows = try LRUHashMap(programs.mapDescriptor(named: "unconfirmed_flows"))
    addresses = try HashMap(programs.mapDescriptor(named: "addresses"))
    sourceRanges = try LPMTrieMap(programs.mapDescriptor(named: "source_ranges"))
    fragments = try LRUHashMap(programs.mapDescriptor(named: "fragments"))
    settings = try ArrayMap(programs.mapDescriptor(named: "settings"))
    endpoints = try ArrayMap(programs.mapDescriptor(named: "endpoints"))
    frontends = try HashMap(programs.mapDescriptor(named: "frontends"))
    backends = try MappedArray(programs.mapDescriptor(named: "backends"))
    prefixes = try LPMTrieMap(programs.mapDescriptor(named: "prefixes"))
    counters = try PerCPUArrayMap(programs.mapDescriptor(named: "counters"))
    self.programs = programs
    try configureNode()
    try introduceParties(podMTU: options.podMTU)
  }

  private static func load(_ options: Options) throws -> Object {
    let opening = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc")
    try opening.resize(map: "flows", to: options.flowCapacity)
    try opening.resize(map: "unconfirmed_flows", to: options.unconfirmedCapacity)
    for map in ["backends", "maglev", "affinity"] { try opening.resize(map: map, to: 1 << 10) }
    if let timeouts = options.timeouts { try opening.setConstant("flow_timeouts", to: timeouts.words) }
    return try opening.load()
  }

  /// Addresses, routes and neighbours of a node whose gateway is on the wire.
  private func configureNode() throws {
    try node.setSysctl("net.ipv4.ip_forward", "1")
    try node.setSysctl("net.ipv6.conf.all.forwarding", "1")
    var lines = ["addr add 192.168.50.11/24 dev eth0", "addr add fd50::11/64 dev eth0 nodad"]
    for family in AddressFamily.allCases {
      for neighbour in [Party.client, .otherNode, .router] {
        lines.append("neigh add \(neighbour.address(family)) lladdr \(routerMAC) dev eth0 nud permanent")
      }
      lines.append("route add default via \(Party.router.address(family)) dev eth0")
      for pod in [Party.pod1, .pod2] { lines.append("route add \(pod.address(family)) dev \(pod)") }
    }
    lines += [
      "route add 10.65.2.0/24 via \(Party.otherNode.address(.ipv4))",
      "route add fd65:0:0:2::/64 via \(Party.otherNode.address(.ipv6))",
    ]
    try node.ip(lines)
  }

  private func introduceParties(podMTU: UInt32) throws {
    for (pod, interface) in pods { try endpoints.set(slot(pod), endpoint(ifindex: interface.index, mtu: podMTU)) }
    for family in AddressFamily.allCases {
      try introduce(.pod1, ADDRESS_LOCAL_POD, family)
      try introduce(.pod2, ADDRESS_LOCAL_POD, family)
      try introduce(.node, ADDRESS_THIS_NODE, family)
      try introduce(.otherNode, ADDRESS_OTHER_NODE, family)
      try introduce(.service, ADDRESS_SERVICE, family)
      let range = IPPrefix(Party.service.address(family), length: family == .ipv4 ? 12 : 108)
      try prefixes.set(ip_prefix(range), prefix_entry(flags: PREFIX_SERVICE.rawValue, index: 0))
    }
    try settings.set(
      0,
      CBPF.settings(
        node4: ip_address(Party.node.address(.ipv4)), node6: ip_address(Party.node.address(.ipv6)),
        route_generation: 1, policy_generation: 0))
  }

  private func introduce(_ party: Party, _ kind: address_kind, _ family: AddressFamily) throws {
    let entry = address_entry(kind: kind.rawValue, index: slot(party))
    try addresses.set(ip_address(party.address(family)), entry)
  }

  /// The slot of a pod in `endpoints`; 0 for others.
  func slot(_ party: Party) -> UInt32 {
    switch party {
    case .pod1: 1
    case .pod2: 2
    default: 0
    }
  }

  /// What `flow.input_ifindex` holds for packets from `party`'s side.
  func input(_ party: Party) -> UInt32 { pods[party]?.index ?? (party == .node ? 1 : 0) }
}

// MARK: - Services

extension DatapathFixture {
  /// Makes `party`'s address answer for a service at `port`, by `cluster` or, where a traffic policy asks, `local`.
  func serve(
    at party: Party, _ port: UInt16, _ number: L4Protocol, _ family: AddressFamily, by cluster: [(Party, UInt16)],
    local: [(Party, UInt16)] = [], flags: [frontend_flag] = []
  ) throws {
    var entry = frontend()
    entry.service = Self.services
    entry.flags = flags.reduce(0) { $0 | $1.rawValue }
    entry.cluster = write(cluster, family)
    entry.local = write(local, family)
    var key = frontend_key()
    key.address = ip_address(party.address(family))
    key.port = port.bigEndian
    key.protocol = number.rawValue
    try frontends.set(key, entry)
  }

  private func write(_ list: [(Party, UInt16)], _ family: AddressFamily) -> backend_slice {
    backendsUsed.withLock { used in
      let slice = backend_slice(offset: used, count: UInt32(list.count))
      let entries = list.map { party, port in
        backend(
          address: ip_address(party.address(family)), port: port.bigEndian,
          flags: slot(party) == 0 ? 0 : UInt16(BACKEND_LOCAL.rawValue), weight: 1)
      }
      backends.write(entries, at: Int(used))
      used += slice.count
      return slice
    }
  }
}

// MARK: - Packets

extension DatapathFixture {
  /// Runs the program of `place` on a packet there, and says what became of it.
  func send(
    _ packet: [UInt8], at place: Place, mark: UInt32 = 0, segmentSize: UInt32 = 0, segments: UInt32 = 0
  ) throws -> Outcome {
    try sendAll([packet], at: place, mark: mark, segmentSize: segmentSize, segments: segments)[0]
  }

  /// Runs the program of `place` on a packet there, and says what became of it.
  func send(_ packet: PacketBuilder, at place: Place, mark: UInt32 = 0) throws -> Outcome {
    try send(packet.bytes, at: place, mark: mark)
  }

  /// Runs the program of `place` on each packet.
  func sendAll(
    _ packets: [[UInt8]], at place: Place, mark: UInt32 = 0, segmentSize: UInt32 = 0, segments: UInt32 = 0
  ) throws -> [Outcome] {
    var context = SocketBufferContext(mark: mark, interface: interface(at: place).index)
    (context.segmentSize, context.segments) = (segmentSize, segments)
    let given = context
    return try node.run {
      let program = try self.programs.program(named: place.program)
      return try packets.map { packet in
        let result = try program.testRun(packet, context: given)
        return Outcome(verdict: Outcome.Verdict(result.returnValue), packet: result.packet, mark: result.context.mark)
      }
    }
  }

  func interface(at place: Place) -> Interface {
    switch place {
    case .fromPod(let pod), .toPod(let pod): pods[pod] ?? network
    case .fromNet, .toNet: network
    }
  }

  /// A handle of the program that runs at `place`.
  func program(at place: Place) throws -> Program { try programs.program(named: place.program) }
}

// MARK: - What is left behind

extension DatapathFixture {
  /// The counters that are not zero, by their names.
  func counts() throws -> [String: UInt64] {
    var counts: [String: UInt64] = [:]
    for counter in 0..<UInt32(COUNTER_COUNT.rawValue) {
      let packets = try counters.get(counter)?.sum(\.packets) ?? 0
      // SAFETY: the name of a counter is static memory.
      if packets > 0 { counts[String(cString: cbpf_counter_name(counter)).lowercased()] = packets }
    }
    return counts
  }

  /// The counters that have grown during `body`, and by how much.
  func counting(_ body: () throws -> Void) throws -> [String: UInt64] {
    let before = try counts()
    try body()
    return try counts().merging(before) { $0 - $1 }.filter { before[$0.key] != $0.value && $0.value > 0 }
  }

  /// Removes all flows and sets all counters to zero; services and addresses stay.
  func forgetTraffic() throws {
    var (confirmed, unconfirmed): ([flow_tuple], [flow_tuple]) = ([], [])
    try flows.forEach { key, _ throws(BPFError) in confirmed.append(key) }
    try unconfirmedFlows.forEach { key, _ throws(BPFError) in unconfirmed.append(key) }
    for key in confirmed { try flows.remove(key) }
    for key in unconfirmed { try unconfirmedFlows.remove(key) }
    let zero = PerCPU(repeating: counter_value())
    for counter in 0..<UInt32(COUNTER_COUNT.rawValue) { try counters.set(counter, zero) }
  }

  /// The half of a flow that packets from `source` to `destination` find.
  func half(_ number: L4Protocol, _ source: SocketAddress, _ destination: SocketAddress) throws -> FlowHalf? {
    let key = flow_tuple(number, source, destination)
    if let confirmed = try flows.get(key) { return FlowHalf(confirmed.flow, isConfirmed: true) }
    return try unconfirmedFlows.get(key).map { FlowHalf($0, isConfirmed: false) }
  }

  /// How many halves of flows there are.
  func halfCounts() throws -> (confirmed: Int, unconfirmed: Int) {
    var (confirmed, unconfirmed) = (0, 0)
    try flows.forEach { _, _ throws(BPFError) in confirmed += 1 }
    try unconfirmedFlows.forEach { _, _ throws(BPFError) in unconfirmed += 1 }
    return (confirmed, unconfirmed)
  }
}
