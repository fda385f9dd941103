import BPF
import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// A data plane that programs nothing and answers what would happen to a packet.
///
/// ```swift
/// let dataPlane = try InMemoryDataPlane(.init(configuration: Configuration(nodeName: "node-1")))
/// _ = dataPlane.start(with: state)
/// let fate = try dataPlane.fate(
///   of: PacketDescription(from: pod, to: clusterIP, .tcp(source: 40_000, destination: 80)),
///   from: .pod(NamespacedName(namespace: "default", name: "client")))
/// ```
///
/// It needs no privileges and no BPF. Its tables are those of ``BPFDataPlane``, filled by the same code from the same
/// state, and its decisions are those of `CBPF/datapath`, written a second time: a test compares the two on random
/// states and packets. It remembers flows, so that a reply is treated as one.
///
/// It knows nothing but the cluster's state. Where the kernel would be asked, it assumes the usual: every pod of this
/// node is plugged in, the network has a route to everything, no packet is too big, no socket of the host stands in the
/// way of a translated port. Flows do not expire; time passes for session affinity alone, by ``advance(by:)``. Socket
/// hooks, which spare local clients the translation, are not modelled, nor are fragments and ICMP errors.
///
/// Not for several threads at once.
public final class InMemoryDataPlane: DataPlane {
  /// How a data plane is set up. See ``BPFDataPlane/Options`` for what has the same name there.
  public struct Options: Sendable {
    /// What is fixed for this node.
    public var configuration: Configuration
    /// The pods that take the node's address when they leave the cluster; `nil`: those of every node's pod ranges.
    public var masqueradePools: [IPPrefix]?
    /// Clients to which replies return through the node they came in by.
    public var directReturnExclusions: [IPPrefix] = []
    /// The name of the interface to the network, of which there is one. `nil`: the one that host endpoints name.
    public var networkInterface: String?
    /// The name of the one that packets leave by, if that is another.
    public var exitInterface: String?
    /// The names of the interfaces that pods are plugged in by, as far as host endpoints name them.
    public var podInterfaces: [NamespacedName: String] = [:]
    /// Senders outside that are not heard.
    public var blockedSources: [IPPrefix] = []
    /// Whether pods of other nodes are reached through the tunnel.
    public var usesOverlay = false
    /// The most pods on this node.
    public var podCapacity = 1_023

    /// Options with the usual values.
    public init(configuration: Configuration) { self.configuration = configuration }
  }

  /// What it was set up with.
  public let options: Options

  let tables: InMemoryTables
  let services: ServiceTable
  let policy: NodePolicy
  private let endpoints: EndpointTable
  private let revocations: RevocationTable
  private let addresses: AddressTable
  private let nodes: NodeTable
  private let prefixes: PrefixTable

  private(set) var state = ClusterState()
  private(set) var settings = CBPF.settings()
  /// Moves whenever policies change.
  private(set) var generation = 0
  var random: any RandomNumberGenerator
  var flows = ModelledFlows()
  /// Time since the beginning.
  private(set) var now = Duration.zero
  private var ports: [NamespacedName: EndpointTable.Port] = [:]
  // Above those that stand for the network and the host.
  private var nextInterface: UInt32 = 2

  /// A data plane without any state.
  ///
  /// - Parameter random: chooses backends and translated ports, as the kernel's generator does.
  /// - Throws: `ServiceTable.ConfigurationError`.
  public init(
    _ options: Options, random: some RandomNumberGenerator = SystemRandomNumberGenerator()
  ) throws(ServiceTable.ConfigurationError) {
    self.options = options
    self.random = random
    tables = InMemoryTables(podCapacity: options.podCapacity)
    endpoints = EndpointTable(
      tables.endpoints, interfaces: tables.endpointInterfaces, capacity: tables.endpoints.capacity)
    revocations = RevocationTable(tables.revocations)
    addresses = AddressTable(tables.addresses)
    nodes = NodeTable(tables.nodes, capacity: tables.nodes.capacity)
    prefixes = PrefixTable(tables.prefixes)
    policy = NodePolicy(.inMemory(podCapacity: options.podCapacity), options.configuration)
    services = try ServiceTable(maps: tables.services, configuration: options.configuration, nodes: nodes.numbers)
  }

  // MARK: - DataPlane

  /// Takes the complete state, in place of the state before.
  public func start(with state: ClusterState) -> [DataPlaneProblem] { apply(self.state.changes(to: state)) }

  /// Takes what `changes` change.
  public func apply(_ changes: [StateChange]) -> [DataPlaneProblem] {
    let concernsNode = changes.contains { $0.concerns(node: options.configuration.nodeName, in: state) }
    for change in changes { state.apply(change) }
    var problems = policy.apply(changes)
    problems += finish(services.apply(changes))
    if concernsNode { problems += updateNode() }
    if policy.takeChange() { generation += 1 }
    return problems
  }

  // MARK: - Time and flows

  /// Lets time pass: session affinity runs out, and slices of removed services are used again.
  public func advance(by duration: Duration) {
    now += duration
    _ = finish(services.reclaim(now: Self.epoch.advanced(by: now)))
  }

  private func finish(_ outcome: ServiceTable.Outcome) -> [DataPlaneProblem] {
    outcome.problems.map(DataPlaneProblem.init)
      + reporting("flows of removed backends") { _ = try revocations.enter(outcome, &settings) }
  }

  private static let epoch = ContinuousClock.now

  /// Forgets all flows, as if nobody had sent anything yet. Session affinity stays.
  public func forgetFlows() { flows = ModelledFlows() }

  // MARK: - Nodes and pods

  private var cluster: ClusterView {
    ClusterView(state: state, nodeName: options.configuration.nodeName, numbers: nodes.numbers)
  }

  private func updateNode() -> [DataPlaneProblem] {
    cluster.describeNode(
      in: &settings, usesOverlay: options.usesOverlay,
      nodePortAddresses: cluster.node.map(options.configuration.nodePortAddresses) ?? [])
    var problems = reporting("other nodes") {
      try nodes.update(cluster.otherNodes, from: cluster.node, mtu: { UInt32(Tunnel.innerMTU(1_500, $0)) }) { _ in
        ModelledFlow.networkInterface
      }
      try prefixes.replace(
        with: cluster.prefixes(
          masqueradePools: options.masqueradePools, directReturnExclusions: options.directReturnExclusions))
    }
    var plugged: [NamespacedName: UInt32] = [:]
    for pod in cluster.localPods {
      problems += reporting("pod \(pod.name)") {
        plugged[pod.name] = try endpoints.assign(pod.name, to: port(of: pod.name))
      }
    }
    problems += policy.assign(plugged)
    problems += policy.protect(hostInterfaces)
    problems += addresses.replace(with: cluster.addresses(slots: plugged), restoring: services)
    problems += removePods(exceptFor: Set(plugged.keys))
    return problems
  }

  /// The interfaces as host endpoints know them. Where nobody has said the name of the one to the network, it is what host
  /// endpoints call theirs.
  private var hostInterfaces: [HostInterface] {
    let named = policy.writtenHostEndpoints.sorted { $0.name < $1.name }.compactMap(\.interface)
    let network = HostInterface(
      index: ModelledFlow.networkInterface,
      name: options.networkInterface ?? named.first { $0 != HostEndpoint.everyInterface } ?? "",
      addresses: cluster.node?.addresses.map(\.address) ?? [])
    let exit = options.exitInterface.map { name in
      HostInterface(index: ModelledFlow.exitInterface, name: name, addresses: [])
    }
    let pods = options.podInterfaces.compactMap { pod, name in
      ports[pod].map { HostInterface(index: $0.interface, name: name, addresses: []) }
    }
    return [network] + [exit].compactMap(\.self) + pods
  }

  /// The interface that packets to the network leave by.
  var exitInterface: InterfaceIndex {
    options.exitInterface == nil ? ModelledFlow.networkInterface : ModelledFlow.exitInterface
  }

  private func port(of pod: NamespacedName) -> EndpointTable.Port {
    if let known = ports[pod] { return known }
    let port = EndpointTable.Port(interface: InterfaceIndex(nextInterface), mtu: 1_500)
    nextInterface += 1
    ports[pod] = port
    return port
  }

  private func removePods(exceptFor plugged: Set<NamespacedName>) -> [DataPlaneProblem] {
    let gone = Set(endpoints.slots.filter { !plugged.contains($0.key) }.values)
    ports = ports.filter { plugged.contains($0.key) }
    flows.remove(ofSlots: gone)
    return reporting("pods that are gone") {
      try endpoints.keep(only: plugged)
      policy.release(gone)
    }
  }

  // MARK: - What the datapath sees

  /// The slot of a pod of this node.
  func slot(of pod: NamespacedName) -> UInt32? { endpoints.slots[pod] }

  /// The pod in `slot`.
  func pod(inSlot slot: UInt32) -> NamespacedName? { endpoints.slots.first { $0.value == slot }?.key }

  /// The interface in `slot`.
  func interface(inSlot slot: UInt32) -> InterfaceIndex? {
    tables.endpoint(slot).flatMap { $0.ifindex == 0 ? nil : InterfaceIndex($0.ifindex) }
  }

  /// The name of another node.
  func nodeName(_ number: UInt32) -> String? {
    cluster.otherNodes.first { nodes.numbers.number(of: $0.name) == number }?.name
  }

  /// The number of another node, if packets from it are accepted.
  func tunnelNumber(_ name: String) -> UInt32? {
    cluster.otherNodes.contains { $0.name == name } ? nodes.numbers.number(of: name) : nil
  }

  /// This node's own address of `family`.
  func ownAddress(_ family: AddressFamily) -> IPAddress {
    IPAddress(family == .ipv4 ? settings.node4 : settings.node6)
  }
}
