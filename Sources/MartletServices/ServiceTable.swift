import BPF
import CBPF
import MartletModel
import MartletNetworking

/// The service tables of one node, kept in step with the services and endpoint slices of the cluster.
///
/// ```swift
/// let table = try ServiceTable(maps: maps, configuration: configuration)
/// table.apply(changes)                     // services, slices, this node
/// table.reclaim(now: .now)                 // now and then, while table.needsReclaim
/// ```
///
/// # What a reader sees
///
/// A frontend refers to its endpoints by slices of an array. A change writes a fresh slice, which nothing refers to
/// yet, and then replaces the frontend in one update: a packet finds the old endpoints or the new, never a mixture, and
/// there is no moment at which the frontend is unknown. Slices that nothing refers to any more are written again only
/// after ``gracePeriod``, as a program may still be choosing from them; ``reclaim(now:)`` keeps the time.
///
/// # What it costs
///
/// A change costs in proportion to the service it is about; services that did not change cost nothing, and nothing is
/// read back from the kernel. The state that this needs is resident: the endpoints of each service port as they stand
/// in the array, and each frontend as it stands in the table.
///
/// # When something fails
///
/// A service that finds no room, or whose update a map refuses, keeps its version before, and everything else goes on.
/// ``apply(_:)`` says which and why. What has failed is tried again by each later call, and when room is reclaimed.
///
/// # Restart
///
/// The tables outlive the agent that wrote them. Its successor calls ``adopt()``, hands in the complete state by
/// ``apply(_:)``, which then writes nothing, and ends with ``finishAdoption()``: it writes the differences alone.
///
/// A table is not for several threads at once; give it to an actor.
public final class ServiceTable {
  /// What an update did beyond the tables.
  public struct Outcome: Sendable {
    /// What could not be done.
    public var problems: [ServiceProblem] = []
    /// UDP backends that serve no longer: flows to them are to be forgotten, or their clients send into the void.
    public var endedBackends: [EndedBackend] = []
    /// UDP frontends that came to a service, went to another, or to nobody: likewise. A flow that began before the
    /// frontend goes untranslated.
    public var endedFrontends: [EndedFrontend] = []

    /// Adds what has come of another update, after this one.
    public mutating func append(_ other: Outcome) {
      problems += other.problems
      endedBackends += other.endedBackends
      endedFrontends += other.endedFrontends
    }
  }

  /// A backend that serves a service port no longer.
  public struct EndedBackend: Hashable, Sendable {
    /// The id of the service port, as flows have it.
    public let service: UInt32
    /// The backend.
    public let backend: Backend
    /// Whether the service port has no other backend on that node: then flows that were sent to the node for it to choose
    /// one have to go as well.
    public let isLastOnNode: Bool
  }

  /// A frontend that is a service port's no longer.
  public struct EndedFrontend: Hashable, Sendable {
    /// The id of the service port that had it, as flows have it; 0: nobody.
    public let service: UInt32
    /// The frontend.
    public let key: FrontendKey
  }

  /// How long a program may hold what it has read: retired slices and ids rest for so long.
  ///
  /// Programs run with preemption or migration disabled, and for microseconds.
  public static let gracePeriod = Duration.seconds(1)

  /// What is fixed for this node.
  public private(set) var configuration: Configuration

  let maps: ServiceMaps
  /// By what number a backend's node is known.
  let nodes: NodeNumbers
  var planner: ServicePlanner
  var entries: [NamespacedName: ServiceEntry] = [:]
  /// Ranges of cluster IPs that objects of the cluster name.
  private var ranges: [String: ServiceRange] = [:]
  /// Which service a slice belongs to.
  var sliceOwners: [NamespacedName: NamespacedName] = [:]
  var ports: [UInt32: ServicePort] = [:]
  var slots: [FrontendKey: FrontendSlot] = [:]
  var slices: SliceTables
  var ids = ServiceIDs()
  var sourceRanges: SourceRangeTable
  var addresses: ServiceAddressTable
  var affinity: AffinityCleaner
  /// Frontends whose entry in the kernel's table may differ from what it should be.
  var pending: Set<FrontendKey> = []
  /// Frontends that got another claim in this update.
  var contested: Set<FrontendKey> = []
  /// Service ports whose source ranges may differ likewise.
  var pendingRanges: Set<UInt32> = []
  /// Services that found no room.
  var stalled: Set<NamespacedName> = []
  /// Between ``adopt()`` and ``finishAdoption()``.
  var isAdopting = false
  /// During ``finishAdoption()``: who has each frontend.
  var heirs: [FrontendKey: FrontendSlot.Claim] = [:]

  /// A table over `maps`, which are empty unless ``adopt()`` follows.
  ///
  /// - Parameter nodes: the numbers of the other nodes; without them no backend says where it is.
  /// - Throws: ``ConfigurationError`` if the configuration's Maglev table size is not a prime.
  public init(
    maps: ServiceMaps, configuration: Configuration, nodes: NodeNumbers = NodeNumbers(capacity: 0)
  ) throws(ConfigurationError) {
    guard let hashing = Maglev(size: configuration.maglevTableSize) else {
      throw .tableSizeNotPrime(configuration.maglevTableSize)
    }
    self.maps = maps
    self.configuration = configuration
    self.nodes = nodes
    planner = ServicePlanner(configuration: configuration, node: nil, numbers: nodes)
    slices = SliceTables(maps, hashing: hashing)
    sourceRanges = SourceRangeTable(maps.sourceRanges)
    addresses = ServiceAddressTable(maps)
    affinity = AffinityCleaner(maps.affinity)
    addresses.setPrefixes(configuration.serviceCIDRs)
  }

  /// A configuration that no table can be built for.
  public enum ConfigurationError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Maglev tables must have a prime number of slots.
    case tableSizeNotPrime(Int)

    /// The value and the remedy.
    public var description: String {
      switch self {
      case .tableSizeNotPrime(let size):
        "a Maglev table of \(size) slots does not spread evenly: the size must be a prime, such as 16381 or 65537"
      }
    }
  }

  // MARK: - Updates

  /// Makes `changes` and writes the difference that they make. Changes to what concerns no service are ignored.
  public func apply(_ changes: some Sequence<StateChange>) -> Outcome {
    var changed: Set<NamespacedName> = []
    for change in changes { note(change, &changed) }
    guard !isAdopting else { return Outcome() }
    var outcome = Outcome()
    replan(changed, &outcome)
    write(&outcome)
    return outcome
  }

  /// Writes what ``Service/Forwarding/automatic`` stands for from now on, ``Configuration/carriesDirectReturn``.
  public func setCarriesDirectReturn(_ value: Bool) -> Outcome {
    var outcome = Outcome()
    guard value != configuration.carriesDirectReturn else { return outcome }
    configuration.carriesDirectReturn = value
    planner = ServicePlanner(configuration: configuration, node: planner.node, numbers: nodes)
    guard !isAdopting else { return outcome }
    replan(Set(entries.keys), &outcome)
    write(&outcome)
    return outcome
  }

  /// Recycles slices and ids that no reader can hold any more, and tries again what had failed.
  ///
  /// Takes `now` from the caller, so that a test may be a clock. What is retired begins to wait at the first call after
  /// it was: call again a ``gracePeriod`` later, for as long as ``needsReclaim``.
  public func reclaim(now: ContinuousClock.Instant) -> Outcome {
    var outcome = Outcome()
    let hasRoom = slices.reclaim(now: now, after: Self.gracePeriod)
    let expired = ids.reclaim(now: now, after: Self.gracePeriod)
    affinity.clean(expiredIDs: expired, now: now, after: Self.gracePeriod, &outcome)
    guard !isAdopting else { return outcome }
    if hasRoom { replan(stalled, &outcome) }
    write(&outcome)
    return outcome
  }

  /// Whether ``reclaim(now:)`` has, or will have, anything to do.
  public var needsReclaim: Bool {
    slices.hasRetired || ids.hasRetired || affinity.isPending || !pending.isEmpty || !pendingRanges.isEmpty
  }

  /// Enters the cluster IP `address` again where an entry of another kind has been removed from map `addresses`.
  ///
  /// The map is shared with whoever programs pods and nodes. Their entries come first: they may overwrite one of kind
  /// `ADDRESS_SERVICE`, and it is never entered over one of theirs. No effect if `address` is no cluster IP.
  public func restoreAddress(_ address: IPAddress) -> Outcome {
    addresses.restore(address)
    return Outcome(problems: isAdopting ? [] : addresses.write())
  }

  // MARK: - Queries

  /// The id of a service port in all tables, if it has one.
  public func id(of port: ServicePortName) -> UInt32? {
    entries[port.service]?.ports[port]
  }

  /// The service port with this id.
  public func port(withID id: UInt32) -> ServicePortName? {
    ports[id]?.plan.name
  }

  /// How many ready endpoints `service` has on this node, by the family that it has more of: what its health check port
  /// reports. A pod with an address of each family is one endpoint. Endpoints that terminate do not count, even while
  /// they still serve, so that load balancers turn away in time.
  public func readyLocalEndpoints(of service: NamespacedName) -> Int {
    guard let entry = entries[service] else { return 0 }
    let endpoints = planner.relevant(entry.slices.values).lazy.flatMap { slice in
      slice.endpoints.lazy.filter { $0.address.family == slice.family }
    }
    let ready = Set(endpoints.filter { $0.isReady && $0.node == self.configuration.nodeName }.map(\.address))
    return AddressFamily.allCases.map { family in ready.count { $0.family == family } }.max() ?? 0
  }

  // MARK: - State

  private func note(_ change: StateChange, _ changed: inout Set<NamespacedName>) {
    switch change {
    case .set(.service(let service)):
      entries[service.name, default: ServiceEntry()].service = service
      changed.insert(service.name)
    case .removed(.service(let name)):
      entries[name]?.service = nil
      changed.insert(name)
    case .set(.endpointSlice(let slice)):
      set(slice, named: slice.name, owner: slice.service, &changed)
    case .removed(.endpointSlice(let name)):
      set(nil, named: name, owner: nil, &changed)
    case .set(.node(let node)) where node.name == configuration.nodeName:
      set(node, &changed)
    case .removed(.node(configuration.nodeName)):
      set(nil, &changed)
    case .set(.serviceRange(let range)):
      set(range, named: range.name)
    case .removed(.serviceRange(let name)):
      set(nil, named: name)
    default:
      break
    }
  }

  private func set(
    _ slice: EndpointSlice?, named name: NamespacedName, owner: NamespacedName?, _ changed: inout Set<NamespacedName>
  ) {
    if let before = sliceOwners[name], before != owner {
      entries[before]?.slices[name] = nil
      changed.insert(before)
    }
    sliceOwners[name] = owner
    guard let owner else { return }
    entries[owner, default: ServiceEntry()].slices[name] = slice
    changed.insert(owner)
  }

  private func set(_ range: ServiceRange?, named name: String) {
    ranges[name] = range
    addresses.setPrefixes(configuration.serviceCIDRs + ranges.values.flatMap(\.prefixes))
  }

  private func set(_ node: Node?, _ changed: inout Set<NamespacedName>) {
    let before = planner.node
    guard before != node else { return }
    planner = ServicePlanner(configuration: configuration, node: node, numbers: nodes)
    if before?.zone != node?.zone {
      changed.formUnion(entries.keys)
    } else if before?.addresses != node?.addresses {
      for (name, entry) in entries where entry.service.map(planner.dependsOnNodeAddresses) ?? false {
        changed.insert(name)
      }
    }
  }
}

/// What is known of a service name: perhaps slices and no service yet, or the other way round.
struct ServiceEntry {
  var service: Service?
  var slices: [NamespacedName: EndpointSlice] = [:]
  /// The ids of the ports in force.
  var ports: [ServicePortName: UInt32] = [:]

  var isEmpty: Bool { service == nil && slices.isEmpty && ports.isEmpty }
}
