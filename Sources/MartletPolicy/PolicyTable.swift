import BPF
import CBPF
import MartletModel
import MartletNetworking
import TableSupport

/// The policy tables of one node, kept in step with the policies of the cluster and with those whom they are about.
///
/// ```swift
/// let table = PolicyTable(maps: maps, nodeName: "node-1")
/// let outcome = table.apply(changes)
/// for point in outcome.changedPoints { … table.setID(of: point) … }
/// table.reclaim(now: .now)                 // now and then, while table.needsReclaim
/// ```
///
/// # What a reader sees
///
/// Each change takes effect for a point by one store; a packet is judged by the rules before it or by those after it.
/// What is replaced is written again only after ``gracePeriod``, as a program may still read it; ``reclaim(now:)`` keeps
/// the time. Changes that ``apply(_:)`` is given together take effect one after the other, unless they are very many.
///
/// # What it costs
///
/// A change of a rule costs in proportion to the classes of address and port that its set knows, without anything to do
/// with the other rules; a change of a workload or of a network set costs what its addresses are. Only a set that has
/// no room left at the place of a change is made anew.
///
/// # When something fails
///
/// A point whose rules find no room is denied everything, and so is one whose rules depend on an address or a range that
/// a map refuses; everything else goes on. ``apply(_:)`` says which and why. What has failed is tried again by each
/// later call, and when room is reclaimed.
///
/// A table is not for several threads at once; give it to an actor.
public final class PolicyTable {
  /// What an update did beyond the tables.
  public struct Outcome: Sendable {
    /// What could not be done.
    public var problems: [PolicyProblem] = []
    /// Whether flows that have been judged may be judged otherwise now: the policy generation has to move.
    public var changesVerdicts = false
    /// The points of which ``PolicyTable/setID(of:)`` is another now.
    public var changedPoints: Set<PolicyPoint> = []
    /// The sets of which ``PolicyTable/policies(of:)`` says something else now.
    public var changedSets: Set<UInt32> = []

    /// Nothing.
    public init() {}
  }

  /// How long a program may hold what it has read.
  ///
  /// Programs run with preemption or migration disabled, and for microseconds.
  public static let gracePeriod = Duration.seconds(1)

  /// The name of the node of which the points are.
  public let nodeName: String

  let report = UpdateReport()
  let catalog = PolicyCatalog()
  let spaces = ClassSpaces()
  let sets: PolicySets
  let points: PointTable
  let context: SetContext
  let names: RuleNameTable
  let book: RuleBook
  let interests: Interests
  let identityWriter: ClassWriter<IPAddress>
  let prefixWriter: ClassWriter<IPPrefix>
  let tupleWriter: ClassWriter<PolicyTuple>
  let identities: HashClassTable<IPAddress>
  let prefixes: PrefixClassTable
  let tuples: HashClassTable<PolicyTuple>
  let maps: PolicyMaps
  var state = ClusterState()
  /// Whose addresses and ports are in the tables, as they are there.
  var entities: [EntityName: Entity] = [:]
  /// By network set: the number of its labels in the tables.
  var networkSetLabels: [NamespacedName: Int] = [:]

  /// A table over `maps`, which are empty.
  public init(maps: PolicyMaps, nodeName: String) {
    self.maps = maps
    self.nodeName = nodeName
    sets = PolicySets(maps, catalog: catalog, report: report)
    points = PointTable(catalog: catalog, sets: sets)
    names = RuleNameTable(maps.ruleNames, report: report)
    identityWriter = ClassWriter(.identity, spaces: spaces, sets: sets, report: report) {
      (address, number) throws(BPFError) in
      guard let number else { return _ = try maps.identities.remove(ip_address(address)) }
      try maps.identities.set(ip_address(address), number)
    }
    prefixWriter = ClassWriter(.prefix, spaces: spaces, sets: sets, report: report) {
      (prefix, number) throws(BPFError) in
      guard let number else { return _ = try maps.prefixes.remove(ip_prefix(prefix)) }
      try maps.prefixes.set(ip_prefix(prefix), number)
    }
    tupleWriter = ClassWriter(SpaceKind.tuple, spaces: spaces, sets: sets, report: report) {
      (port, number) throws(BPFError) in
      guard let number else { return _ = try maps.tuples.remove(port.key) }
      try maps.tuples.set(port.key, number)
    }
    identities = HashClassTable(identityWriter, space: spaces[.identity])
    prefixes = PrefixClassTable(prefixWriter, space: spaces[.prefix])
    tuples = HashClassTable(tupleWriter, space: spaces[SpaceKind.tuple])
    let ports = { [spaces, sets] (kind: SpaceKind, planes: Range<UInt32>) in
      PortClassTable(kind, planes: planes, spaces: spaces, sets: sets, ports: maps.ports)
    }
    let firstSource = POLICY_PLANE_SOURCE_TCP.rawValue
    interests = Interests(
      spaces: spaces, prefixes: prefixes,
      ports: [
        .port: ports(.port, 0..<firstSource),
        .sourcePort: ports(.sourcePort, firstSource..<POLICY_PLANE_COUNT.rawValue),
      ], tuples: tuples)
    book = RuleBook(spaces: spaces, interests: interests, names: names)
    context = SetContext(words: WordStore(maps.words), spaces: spaces, book: book)
    sets.begin(context)
    catalog.begin(book)
  }

  // MARK: - Updates

  /// Makes `changes`, one after the other, and writes the differences that they make.
  ///
  /// If they are more than ``most``, as where a node starts, each policy set is brought up to date once, after all of
  /// them.
  public func apply(_ changes: some Collection<StateChange>) -> Outcome {
    retryWrites()
    guard changes.count > Self.most else {
      for change in changes {
        apply(change)
        context.words.settle()
      }
      return finish()
    }
    points.putOff()
    sets.putOff()
    for change in changes { apply(change) }
    points.settle()
    sets.settle()
    return finish()
  }

  /// The most changes that take effect one by one if they are given together.
  public static let most = 256

  /// Recycles what no reader can hold any more, and tries again what had failed.
  ///
  /// Takes `now` from the caller, so that a test may be a clock. What is retired begins to wait at the first call after
  /// it was: call again a ``gracePeriod`` later, for as long as ``needsReclaim``.
  public func reclaim(now: ContinuousClock.Instant) -> Outcome {
    _ = context.reclaim(now: now, after: Self.gracePeriod)
    for kind in SpaceKind.allCases {
      sets.forget(spaces[kind].reclaim(now: now, after: Self.gracePeriod), of: kind)
    }
    sets.reclaim(now: now, after: Self.gracePeriod)
    sets.compact(isFull: !discrepancies.isEmpty)
    retryWrites()
    return finish()
  }

  /// Whether ``reclaim(now:)`` has, or will have, anything to do.
  public var needsReclaim: Bool {
    sets.isPending || context.hasRetired || SpaceKind.allCases.contains { spaces[$0].hasUnused }
      || !discrepancies.isEmpty
  }

  /// The id of the policy set that judges `point`. 0: there is no such point, or nothing that judges it.
  public func setID(of point: PolicyPoint) -> UInt32 { points.setID(of: point) }

  private func retryWrites() {
    identityWriter.retry()
    prefixWriter.retry()
    tupleWriter.retry()
    points.retry()
    sets.retry()
  }

  private func finish() -> Outcome {
    sets.block(discrepancies)
    context.words.settle()
    names.flush()
    return report.take()
  }

  private var discrepancies: [(kind: SpaceKind, wanted: ClassNumber, actual: ClassNumber)] {
    identityWriter.discrepancies.values.map { (.identity, $0.wanted, $0.actual) }
      + prefixWriter.discrepancies.values.map { (.prefix, $0.wanted, $0.actual) }
      + tupleWriter.discrepancies.values.map { (.tuple, $0.wanted, $0.actual) }
  }
}
