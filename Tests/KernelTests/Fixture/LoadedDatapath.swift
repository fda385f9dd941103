import BPF
import BPFPrograms
import BPFTesting
import CBPF
import MartletDataPlane
import MartletNetworking
import MartletServices

/// The datapath's programs in the kernel, with maps of their own, and a namespace that looks like a node.
///
///     pod1 ── pod1 ┐
///                  ├ node ── eth0 ── client, other node, router ── remote
///     pod2 ── pod2 ┘
///
/// The node's interfaces, routes and neighbours are real, for the datapath asks the kernel about them; nobody lives at
/// their far ends.
final class LoadedDatapath: Sendable {
  let node: NetworkNamespace
  let network: Interface
  let pods: [Party: Interface]
  /// The link address of every host on the wire.
  let routerMAC: MACAddress
  let programs: Object

  let flows: HashMap<flow_tuple, confirmed_flow>
  let unconfirmedFlows: LRUHashMap<flow_tuple, flow>
  let expiries: QueueMap<flow_expiry>
  let frontends: HashMap<frontend_key, frontend>
  let backends: MappedArray<backend>
  let sourceRanges: LPMTrieMap<source_range_key, UInt32>
  let revocations: LRUHashMap<revocation_key, UInt32>
  let addresses: HashMap<ip_address, address_entry>
  let prefixes: LPMTrieMap<ip_prefix, prefix_entry>
  let nodes: ArrayMap<CBPF.node>
  let endpoints: ArrayMap<endpoint>
  let fragments: LRUHashMap<fragment_key, fragmented_datagram>
  let settings: ArrayMap<settings>
  let counters: PerCPUArrayMap<counter_value>
  let policy: PolicyTables

  private let podMTU: UInt32
  /// The namespace that holds the far ends of all interfaces.
  private let world: NetworkNamespace

  init(_ options: DatapathFixture.Options) throws {
    podMTU = options.podMTU
    node = try NetworkNamespace()
    world = try NetworkNamespace()
    let wire = try node.addVeth("eth0", peer: world, "wire")
    // As frames have it for whom they are for, unless they say otherwise.
    try node.ip("link set eth0 address \(MACAddress(2, 0, 0, 0, 0, 2))")
    network = try node.interface("eth0")
    routerMAC = wire.far.mac
    pods = [
      .pod1: try node.addVeth("pod1", peer: world, "pod1").near,
      .pod2: try node.addVeth("pod2", peer: world, "pod2").near,
    ]
    let programs = try Self.load(options)
    flows = try HashMap(programs.mapDescriptor(named: "flows"))
    unconfirmedFlows = try LRUHashMap(programs.mapDescriptor(named: "unconfirmed_flows"))
    expiries = try QueueMap(programs.mapDescriptor(named: "expiries"))
    revocations = try LRUHashMap(programs.mapDescriptor(named: "revocations"))
    addresses = try HashMap(programs.mapDescriptor(named: "addresses"))
    sourceRanges = try LPMTrieMap(programs.mapDescriptor(named: "source_ranges"))
    fragments = try LRUHashMap(programs.mapDescriptor(named: "fragments"))
    settings = try ArrayMap(programs.mapDescriptor(named: "settings"))
    endpoints = try ArrayMap(programs.mapDescriptor(named: "endpoints"))
    frontends = try HashMap(programs.mapDescriptor(named: "frontends"))
    backends = try MappedArray(programs.mapDescriptor(named: "backends"))
    prefixes = try LPMTrieMap(programs.mapDescriptor(named: "prefixes"))
    nodes = try ArrayMap(programs.mapDescriptor(named: "nodes"))
    counters = try PerCPUArrayMap(programs.mapDescriptor(named: "counters"))
    policy = try PolicyTables(programs)
    self.programs = programs
    try configureNode()
    try reset()
  }

  /// Makes it as if nothing had happened since it was loaded, but for the node's routes.
  func reset() throws {
    try flows.removeAll()
    try unconfirmedFlows.removeAll()
    try frontends.removeAll()
    try sourceRanges.removeAll()
    try revocations.removeAll()
    try addresses.removeAll()
    try fragments.removeAll()
    try prefixes.removeAll()
    try nodes.set(DatapathFixture.otherNode, CBPF.node())
    try zeroCounters()
    try introduceParties()
    try policy.reset()
  }

  func zeroCounters() throws(BPFError) {
    let zero = PerCPU(repeating: counter_value())
    for counter in 0..<UInt32(COUNTER_COUNT.rawValue) { try counters.set(counter, zero) }
  }

  private static func load(_ options: DatapathFixture.Options) throws -> Object {
    let opening = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc")
    try opening.select(programs: ["from_pod", "to_pod", "from_net", "to_net", "expire"])
    try opening.resize(map: "flows", to: options.flowCapacity)
    try opening.resize(map: "unconfirmed_flows", to: options.unconfirmedCapacity)
    try PolicyTables.resize(opening)
    for map in ["backends", "maglev", "affinity"] { try opening.resize(map: map, to: 1 << 10) }
    try opening.setConstant("tick_nanoseconds", to: KernelTick.shared().nanoseconds)
    try opening.resize(map: "expiries", to: options.flowCapacity)
    if let timeouts = options.timeouts {
      try opening.setConstant("flow_timeouts", to: timeouts.words)
      try opening.setConstant("expiry_period", to: UInt64(20_000_000))
    }
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

  private func introduceParties() throws {
    for (pod, interface) in pods {
      try endpoints.set(DatapathFixture.slot(pod), endpoint(ifindex: interface.index, mtu: podMTU))
    }
    for family in AddressFamily.allCases {
      try introduce(.pod1, ADDRESS_LOCAL_POD, family)
      try introduce(.pod2, ADDRESS_LOCAL_POD, family)
      try introduce(.node, ADDRESS_THIS_NODE, family)
      try introduce(.otherNode, ADDRESS_OTHER_NODE, family)
      try introduce(.service, ADDRESS_SERVICE, family)
      let range = IPPrefix(Party.service.address(family), length: family == .ipv4 ? 12 : 108)
      try prefixes.set(ip_prefix(range), prefix_entry(flags: PREFIX_SERVICE.rawValue, node: 0))
    }
    var own = CBPF.settings()
    own.node4 = ip_address(Party.node.address(.ipv4))
    own.node6 = ip_address(Party.node.address(.ipv6))
    try settings.set(0, own)
  }

  private func introduce(_ party: Party, _ kind: address_kind, _ family: AddressFamily) throws {
    let entry = address_entry(kind: kind.rawValue, index: DatapathFixture.slot(party))
    try addresses.set(ip_address(party.address(family)), entry)
  }
}
