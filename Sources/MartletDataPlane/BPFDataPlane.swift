import BPF
import BPFPrograms
import CBPF
import Glibc
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// The data plane of this node in the kernel.
///
/// ```swift
/// let dataPlane = try BPFDataPlane(BPFDataPlane.Options(configuration: Configuration(nodeName: "node-1")))
/// for problem in dataPlane.start(with: state) { log(problem) }
/// for problem in dataPlane.apply(changes) { log(problem) }
/// for problem in dataPlane.networkChanged() { log(problem) }   // when a link, an address or a route has changed
/// for problem in dataPlane.reclaim() { log(problem) }          // every second or so
/// ```
///
/// It works in the network namespace of the thread that creates it, and every call must come from a thread in that
/// namespace. Everything that packets need is pinned: when this object goes, packets are forwarded as before. A new one
/// with the same pins takes them over without losing a flow: programs are replaced in place, tables by their differences.
///
/// Needs Linux 6.6 and the capabilities `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`, which opens objects by id and includes
/// `CAP_BPF` and `CAP_PERFMON`.
public final class BPFDataPlane: DataPlane {
  /// How a data plane is set up.
  public struct Options: Sendable {
    /// What is fixed for this node.
    public var configuration: Configuration
    /// Where its maps and links are pinned.
    public var pins: PinFolder
    /// The names of the interfaces to the network; if empty, those that hold the node's addresses or a default route.
    public var interfaces: [String]
    /// The pods that take the node's address when they leave the cluster; `nil`: those of every node's pod ranges.
    public var masqueradePools: [IPPrefix]?
    /// Clients to which replies return through the node they came in by, whatever a service says of direct return.
    public var directReturnExclusions: [IPPrefix] = []
    /// Senders outside that are not heard: what they send is dropped where it arrives.
    public var blockedSources: [IPPrefix] = []
    /// The arguments of the program that sets it up, for tools to find by ``AgentRecord``.
    public var recordedArguments: [String] = []
    /// Whether pods of other nodes are reached through the tunnel rather than by the kernel's routes.
    public var usesOverlay = false
    /// The cgroup (version 2) whose processes are given a backend where they connect to a service; `nil`: none are.
    public var cgroup: String?
    /// The most flows that are tracked at a time; each has two entries.
    public var flowCapacity: UInt32
    /// The most pods on this node.
    public var podCapacity: UInt32

    /// Options with the usual capacities: half a million flows, 1,023 pods.
    public init(
      configuration: Configuration, pins: PinFolder = .standard, interfaces: [String] = [],
      flowCapacity: UInt32 = 1 << 19, podCapacity: UInt32 = 1_023
    ) {
      self.configuration = configuration
      self.pins = pins
      self.interfaces = interfaces
      self.flowCapacity = flowCapacity
      self.podCapacity = podCapacity
    }
  }

  /// What it was set up with.
  public let options: Options
  /// The maps that the programs read, for inspection.
  public let maps: DatapathMaps
  /// Likewise, of policy.
  public let policyMaps: DatapathPolicyMaps

  let netlink: NetlinkSocket
  let programs: DatapathPrograms
  let attachments: InterfaceAttachments
  let endpoints: EndpointTable
  let addresses: AddressTable
  let nodes: NodeTable
  let prefixes: PrefixTable
  let services: ServiceTable
  let policy: NodePolicy
  private let names: ServiceNames
  private let revocations: RevocationTable
  private let expirer: FlowExpirer
  let sockets: SocketBalancing?
  private let lock: PinLock
  private let tookOver: Bool

  private(set) var state = ClusterState()
  private var hasStarted = false
  var settings = CBPF.settings()
  /// What the kernel has beside the addresses of the node's object: they come and go.
  var ownAddresses: [IPAddress] = []
  /// Those of them that the interfaces to the network have.
  var networkAddresses: [IPAddress] = []
  /// The interfaces to the network, and all others that a host endpoint protects and no pod is plugged in by.
  var network: Set<InterfaceIndex> = []

  /// Loads the datapath, or takes over what `options.pins` hold. Nothing is attached yet.
  ///
  /// Throws ``PinLock/Taken`` if another process has the pins, and `BPFError` with the remedy if the kernel or the
  /// privileges do not suffice.
  public init(_ options: Options) throws {
    self.options = options
    if case .unavailable(let feature) = Probe.tcx.result {
      throw BPFError(
        .unsupported, operation: "start", object: "data plane", errno: EOPNOTSUPP, hint: "it needs \(feature)")
    }
    netlink = try NetlinkSocket()
    try Self.checkInterfaces(options.interfaces, netlink)
    try options.pins.createRoot()
    lock = try PinLock(options.pins)
    tookOver = options.pins.isInUse
    let object = try Self.load(options, leavingPins: tookOver)
    maps = try DatapathMaps(of: object)
    policyMaps = try DatapathPolicyMaps(of: object)
    policy = NodePolicy(NodePolicyMaps(policyMaps), options.configuration, names: policyMaps.names)
    try policy.enterConstants(blocked: options.blockedSources)
    programs = try DatapathPrograms(of: object)
    attachments = InterfaceAttachments(programs: programs, pins: options.pins)
    expirer = try FlowExpirer(programs)
    endpoints = EndpointTable(
      SharedMap(try maps.endpoints.duplicate()),
      interfaces: SharedMap(try HashMap(object.mapDescriptor(named: "endpoint_interfaces"))),
      capacity: maps.endpoints.capacity)
    addresses = AddressTable(maps.addresses)
    nodes = NodeTable(SharedMap(try maps.nodes.duplicate()), capacity: maps.nodes.capacity)
    prefixes = PrefixTable(maps.prefixes)
    services = try ServiceTable(
      maps: ServiceMaps(maps), configuration: options.configuration, nodes: nodes.numbers)
    names = ServiceNames(maps)
    revocations = RevocationTable(maps.revocations)
    sockets = try Self.balanceSockets(options)
    if tookOver { try adopt() }
  }

  /// One that goes later is followed as it comes back; one that never was is a mistake.
  private static func checkInterfaces(_ names: [String], _ netlink: NetlinkSocket) throws {
    for name in names where try netlink.link(named: name) == nil {
      throw DataPlaneProblem("interface \(name)", "there is none of that name: correct it, or create it first")
    }
  }

  /// What is pinned by a load that fails goes again, unless it was there before.
  private static func load(_ options: Options, leavingPins: Bool) throws(BPFError) -> Object {
    try options.pins.create()
    do throws(BPFError) {
      return try load(options)
    } catch {
      if !leavingPins { _ = try? options.pins.removeAll() }
      guard error.kind == .layout else { throw error }
      var failure = error
      failure.hint =
        """
        \(error.hint ?? "it differs"); another version has pinned it: martlet clean removes all that is pinned, and ends \
        connections through services
        """
      throw failure
    }
  }

  private static func load(_ options: Options) throws(BPFError) -> Object {
    let opening = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc")
    for map in DatapathMaps.pinned { try opening.pin(map: map, at: options.pins.map(map)) }
    try opening.resize(map: "flows", to: options.flowCapacity * 2)
    try opening.resize(map: "expiries", to: options.flowCapacity)
    for map in ["endpoints", "endpoint_interfaces", "endpoint_policies"] {
      try opening.resize(map: map, to: options.podCapacity + 1)
    }
    try opening.setConstant("tick_nanoseconds", to: KernelTick.shared().nanoseconds)
    if options.configuration.servesLoopback { try opening.setConstant("serves_loopback", to: UInt32(1)) }
    if case .available = Probe.checksumReplaceIPv6.result {
      try opening.setConstant("l4_checksum_ipv6_flag", to: UInt64(1 << 7))  // BPF_F_IPV6
    }
    if case .unavailable = SocketBalancing.namespaceProbe.result {
      try opening.setConstant("namespaces_known", to: UInt32(0))
    }
    return try opening.load()
  }

  /// The socket programs use the packet programs' maps.
  private static func balanceSockets(_ options: Options) throws(BPFError) -> SocketBalancing? {
    guard let cgroup = options.cgroup else {
      try SocketBalancing.remove(pinFolder: options.pins.sockets)
      return nil
    }
    return try SocketBalancing(
      sharing: { name throws(BPFError) in try RawMap(pinned: options.pins.map(name)).descriptor.duplicate() },
      cgroup: cgroup, pinFolder: options.pins.sockets)
  }

  private func adopt() throws {
    settings = try maps.settings.get(0) ?? settings
    try nodes.adopt()
    try prefixes.adopt()
    try endpoints.adopt()
    try addresses.adopt()
    try services.adopt()
  }

  // MARK: - DataPlane

  /// Programs the complete state, and attaches to the interfaces.
  ///
  /// Policies come first: the programs bring new tables of them, which are filled before any packet is judged by them.
  public func start(with state: ClusterState) -> [DataPlaneProblem] {
    let changes = self.state.changes(to: state)
    self.state = state
    hasStarted = true
    var problems = reporting("addresses of this node") { ownAddresses = try HostNetwork(netlink).ownAddresses }
    problems += policy.apply(changes)
    var outcome = services.apply(withOwnAddresses(changes))
    // Until then frontends are as the former agent has left them, and clients are given backends that have ended.
    if tookOver { outcome.append(services.finishAdoption()) }
    problems += finish(outcome)
    problems += updateNames(changes)
    problems += updateNode()
    attachments.removeStale()
    // Flows that a former agent's policies have let through are judged by these, now that its programs are gone.
    problems += judgeAgain()
    problems += reporting("pins for tools") {
      try policyMaps.pin(under: options.pins)
      try options.pins.replace(programs.program("judge_packet").program, as: "judge_packet")
      try AgentRecord.write(options.recordedArguments, under: options.pins)
    }
    return problems
  }

  /// Programs what `changes` change; nothing, and says so, before ``start(with:)``.
  public func apply(_ changes: [StateChange]) -> [DataPlaneProblem] {
    guard hasStarted else {
      return [DataPlaneProblem("data plane", "nothing is programmed before start(with:), with all that there is")]
    }
    let concernsNode = changes.contains { $0.concerns(node: options.configuration.nodeName, in: state) }
    for change in changes { state.apply(change) }
    var problems = policy.apply(changes)
    problems += judgeAgainIfNeeded()
    problems += finish(services.apply(withOwnAddresses(changes)))
    problems += updateNames(changes)
    if concernsNode { problems += updateNode() }
    return problems
  }

  /// Looks again at links, addresses and routes: call it when any of them has changed. Flows ask the kernel for their
  /// next hop anew.
  public func networkChanged() -> [DataPlaneProblem] {
    settings.route_generation &+= 1
    return updateNode()
  }

  /// Ends flows that have been idle for too long, and recycles what no packet can be using any more; call it every
  /// second or so.
  public func reclaim() -> [DataPlaneProblem] {
    var problems = reporting("flows that are due") { try expirer.expire() }
    problems += policy.reclaim() + judgeAgainIfNeeded()
    return problems + (services.needsReclaim ? finish(services.reclaim(now: .now)) : [])
  }

  /// Removes everything that a data plane has pinned under `pins`: packets then go as if there had never been one. To be
  /// called in its network namespace, where the tunnel device is.
  ///
  /// Throws ``PinLock/Taken`` if its agent is running, and `BPFError` if `pins` are in no bpf file system. Returns how
  /// many pins there were.
  @discardableResult
  public static func clean(_ pins: PinFolder) throws -> Int {
    guard try pins.exists() else { return 0 }
    let lock = try PinLock(pins)
    defer { withExtendedLifetime(lock) {} }
    let count = try pins.removeAll()
    if count > 0 { try Tunnel.remove(NetlinkSocket()) }
    return count
  }

  // MARK: - Policies

  func judgeAgainIfNeeded() -> [DataPlaneProblem] { policy.takeChange() ? judgeAgain() : [] }

  /// Has each flow judged by the policies as they are now when its next packet comes.
  func judgeAgain() -> [DataPlaneProblem] {
    _ = policy.takeChange()
    settings.policy_generation &+= 1
    return updateSettings() + updateWire()
  }

  /// Where packets are dropped before connections are tracked, it is as early as there is a hook.
  func updateWire() -> [DataPlaneProblem] {
    let isNeeded = policy.untrackedStages & (UNTRACKED_BLOCKED.rawValue | UNTRACKED_INGRESS.rawValue) != 0
    do throws(BPFError) {
      try attachments.attachWire(to: isNeeded ? network : [])
      return []
    } catch {
      return [
        DataPlaneProblem(
          "hook \(WireProgram.name)", "\(error); what it is for is dropped a little later instead, at more cost")
      ]
    }
  }

  // MARK: - Services

  func finish(_ outcome: ServiceTable.Outcome) -> [DataPlaneProblem] {
    var problems = outcome.problems.map(DataPlaneProblem.init)
    problems += reporting("flows of removed backends") {
      if try revocations.enter(outcome, &settings) { try maps.settings.set(0, settings) }
    }
    return problems
  }

  /// `changes`, with this node having every address that its kernel has: node ports answer there as well.
  private func withOwnAddresses(_ changes: [StateChange]) -> [StateChange] {
    changes.map { change in
      guard case .set(.node(let node)) = change, node.name == options.configuration.nodeName else { return change }
      return .set(.node(withOwnAddresses(node)))
    }
  }

  func withOwnAddresses(_ node: Node) -> Node {
    var node = node
    let known = Set(node.addresses.map(\.address))
    node.addresses += ownAddresses.filter { !known.contains($0) }.map { Node.Address($0, kind: .external) }
    return node
  }

  func updateOwnAddresses(_ host: HostNetwork) -> [DataPlaneProblem] {
    guard host.ownAddresses != ownAddresses else { return [] }
    ownAddresses = host.ownAddresses
    guard let node = cluster.node else { return [] }
    return finish(services.apply(withOwnAddresses([.set(.node(node))]))) + updateSettings()
  }

  private func updateNames(_ changes: [StateChange]) -> [DataPlaneProblem] {
    reporting("names of services") {
      try names.update(
        changes.compactMap { if case .set(.service(let service)) = $0 { service } else { nil } }, in: services)
      for case .removed(.service(let name)) in changes { try names.remove(name) }
    }
  }
}

extension ServiceMaps {
  /// The datapath's tables of services.
  init(_ maps: DatapathMaps) {
    self.init(
      frontends: maps.frontends, backends: maps.backends, maglev: maps.maglev, sourceRanges: maps.sourceRanges,
      affinity: maps.affinity, addresses: maps.addresses, prefixes: maps.prefixes)
  }
}
