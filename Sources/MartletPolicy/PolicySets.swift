import BPF
import CBPF
import Glibc
import Synchronization
import TableSupport

/// The policy sets of this node, and maps `policy_headers` and `policy_sets`.
final class PolicySets {
  /// A set and what it is in the maps.
  private final class Entry {
    var list: PolicyList
    /// Points that the set judges.
    var points: Set<PolicyPoint> = []
    var body: SetBody?
    /// The slot in `policy_headers`; 0 denies everything.
    var header: UInt32 = 0
    /// The tiers that ``body`` has been laid out for.
    var tiers: [String] = []
    /// When ``body`` was last changed: how often anything had been published by then.
    var publication: UInt32?
    /// Whether a class that matters to the set could not be stored.
    var isBlocked = false

    init(_ list: PolicyList) { self.list = list }
  }

  private let maps: PolicyMaps
  private let report: UpdateReport
  /// What the sets are made of. Given later, as it has to tell the sets of new classes.
  private var context: SetContext?
  private let catalog: PolicyCatalog
  private var entries: [UInt32: Entry] = [:]
  private var numbers: [PolicyList: UInt32] = [:]
  private var setsByPolicy: [Int: Set<UInt32>] = [:]
  private var failed: Set<UInt32> = []
  /// Sets that ``settle()`` brings up to date. `nil`: they are at once.
  private var pending: Set<UInt32>?
  private var freeSets: [UInt32]
  private var freeHeaders: [UInt32]
  private var retiredHeaders = GraceQueue<UInt32>()
  /// Headers that what is published may still have, and how often anything had been published when they left.
  private var leavingHeaders: [UInt32] = []
  private var leavingPublication: UInt32?
  private var retiredSets = GraceQueue<UInt32>()

  /// The set that denies everything, for points for which there is no other.
  static let denial: UInt32 = 1

  init(_ maps: PolicyMaps, catalog: PolicyCatalog, report: UpdateReport) {
    precondition(maps.sets.count > 2 && maps.headers.count > 2, "too few policy sets for any policy")
    self.maps = maps
    self.catalog = catalog
    self.report = report
    freeSets = ((Self.denial + 1)..<UInt32(maps.sets.count)).reversed()
    freeHeaders = (1..<UInt32(maps.headers.count)).reversed()
    var denial = policy_header()
    denial.unmatched = POLICY_DENY.rawValue
    maps.headers.write([denial], at: 0)
    maps.sets.write([0], at: Int(Self.denial))
  }

  /// To be called once, before anything else.
  func begin(_ context: SetContext) { self.context = context }

  // MARK: - Points

  /// Gives `points` another list each: a set that has it, or the one before with other rules if nobody else is judged by
  /// that, or a new one. `nil`: the point is no more, or has no stage.
  func move(_ points: [PolicyPoint: PolicyList?], from before: (PolicyPoint) -> UInt32) -> [PolicyPoint: UInt32] {
    struct Move: Hashable {
      let old: UInt32
      let list: PolicyList?
    }
    var result: [PolicyPoint: UInt32] = [:]
    var left: Set<UInt32> = []
    for (move, points) in Dictionary(grouping: points.keys, by: { Move(old: before($0), list: points[$0] ?? nil) }) {
      let new = move.list.map { number(of: $0, for: Set(points), instead: move.old) } ?? 0
      for point in points { result[point] = new }
      guard new != move.old else { continue }
      entries[move.old]?.points.subtract(points)
      left.insert(move.old)
      entries[new]?.points.formUnion(points)
      report.changedPoints.formUnion(points)
    }
    for number in left where entries[number]?.points.isEmpty == true { retire(number) }
    return result
  }

  private func number(of list: PolicyList, for points: Set<PolicyPoint>, instead old: UInt32) -> UInt32 {
    if let number = numbers[list] { return number }
    if let entry = entries[old], entry.points == points {
      enter(list, old, instead: entry.list)
      entry.list = list
      update(old)
      return old
    }
    guard let number = freeSets.popLast() else {
      for point in points {
        report.add(PolicyProblem(point, .noRoom(map: "policy_sets", needed: 1, free: 0)))
      }
      return Self.denial
    }
    entries[number] = Entry(list)
    entries[number]?.points = points
    enter(list, number, instead: nil)
    update(number)
    return number
  }

  private func enter(_ list: PolicyList?, _ number: UInt32, instead old: PolicyList?) {
    report.changedSets.insert(number)
    for policy in Set(old?.tiers.flatMap(\.policies) ?? []) { setsByPolicy[policy]?.remove(number) }
    if let old { numbers[old] = nil }
    for policy in Set(list?.tiers.flatMap(\.policies) ?? []) { setsByPolicy[policy, default: []].insert(number) }
    if let list { numbers[list] = number }
  }

  private func retire(_ number: UInt32) {
    guard let entry = entries.removeValue(forKey: number) else { return }
    enter(nil, number, instead: entry.list)
    failed.remove(number)
    // Somebody may still look up the set's number: its header stays until the grace period ends.
    entry.body?.release()
    retire(header: entry.header)
    retiredSets.append(number)
  }

  // MARK: - Rules

  /// Brings the sets up to date of which a list says that they have `policy`.
  func update(policy: Int) {
    for number in (setsByPolicy[policy] ?? []).sorted() { update(number) }
  }

  /// Brings the sets up to date of which the list fulfils `isConcerned`.
  func update(where isConcerned: (PolicyList) -> Bool) {
    for number in entries.filter({ isConcerned($0.value.list) }).keys.sorted() { update(number) }
  }

  /// Brings the sets up to date that have a rule.
  func update(ruleOf rule: CompiledRule) {
    switch rule.name.owner {
    case .policy(let name, _): if let entry = catalog[name] { update(policy: entry.number) }
    case .profile(let name): update { $0.profiles.contains(name) }
    case .tierEnd(let tier): update { $0.tiers.contains { $0.tier == tier } }
    }
  }

  private func update(_ number: UInt32) {
    guard pending?.insert(number) == nil, let entry = entries[number], let context else { return }
    // What finds no room anyway is not worked out for it: the attempt is made again and again.
    let all = catalog.rules(entry.list)
    guard all.count <= BitVector.capacity else { return fail(entry, number, .tooManyRules(all.count)) }
    // Rules that somebody uses stay used while this goes on.
    var begun: [RuleExpansion] = []
    let rules = all.map { listed in
      if let expansion = listed.rule.expansion { return (expansion: expansion, tier: listed.tier) }
      begun.append(context.book.retain(listed.rule))
      return (expansion: begun[begun.count - 1], tier: listed.tier)
    }
    defer { for expansion in begun { context.book.release(expansion) } }
    do throws(SetBody.Failure) {
      try change(entry, to: rules, context)
      publish(entry, number)
    } catch {
      fail(entry, number, error)
    }
  }

  /// Makes sets anew that keep more for rules that are gone than for those that are there; or anything, if `isFull`.
  func compact(isFull: Bool) {
    for (number, entry) in entries {
      guard let body = entry.body else { continue }
      let stale = body.staleCount
      guard stale > (isFull ? 0 : body.liveCount + 64) else { continue }
      // A body is not changed for other tiers, but made anew.
      entry.tiers = [""]
      update(number)
    }
  }

  private func change(
    _ entry: Entry, to rules: [(expansion: RuleExpansion, tier: Int)], _ context: SetContext
  ) throws(SetBody.Failure) {
    let tiers = entry.list.tiers.map(\.tier)
    let publication = maps.versions?.publications
    defer { entry.publication = publication }
    // Bits that a change has freed are still in use by what is published, until the change is as well.
    let isChanging = publication != nil && entry.publication == publication
    var busy: Int?
    if let body = entry.body, entry.tiers == tiers, !isChanging {
      do throws(NoRoom) {
        guard case .needsBody(let place) = try body.change(to: rules) else { return }
        busy = place
      } catch {
        throw .noRoom(error)
      }
    }
    let body = try SetBody(rules, tierCount: tiers.count, busy: busy, context: context)
    entry.body?.release()
    entry.body = body
    entry.tiers = tiers
  }

  private func publish(_ entry: Entry, _ number: UInt32) {
    guard let body = entry.body, !entry.isBlocked else { return store(0, entry, number) }
    guard let slot = freeHeaders.popLast() ?? retiredHeader() else {
      return fail(entry, number, .noRoom(NoRoom(map: "policy_headers", needed: 1, free: 0)))
    }
    let unmatched = entry.list.ending == .profiles ? POLICY_DENY.rawValue : 0
    maps.headers.write([body.header(unmatched: unmatched)], at: Int(slot))
    store(slot, entry, number)
    failed.remove(number)
  }

  /// A header that is in use no longer, once the change under way is published.
  private func retire(header: UInt32) {
    guard header != 0 else { return }
    settleHeaders()
    leavingHeaders.append(header)
  }

  /// Has those wait for the end of the grace period that are in use no longer.
  private func settleHeaders() {
    guard maps.versions == nil || maps.versions?.publications != leavingPublication else { return }
    for header in leavingHeaders { retiredHeaders.append(header) }
    leavingHeaders = []
    leavingPublication = maps.versions?.publications
  }

  /// A header from among those that wait, if there is no other: see ``WordStore``.
  private func retiredHeader() -> UInt32? {
    settleHeaders()
    guard !retiredHeaders.isEmpty else { return nil }
    usleep(WordStore.shortWait)
    freeHeaders = retiredHeaders.removeAll()
    return freeHeaders.popLast()
  }

  /// Puts a header in force, which has been written.
  private func store(_ header: UInt32, _ entry: Entry, _ number: UInt32) {
    // What the header refers to has to be seen by whoever sees the header.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    maps.sets.write([header], at: Int(number))
    retire(header: entry.header)
    entry.header = header
    report.changesVerdicts = true
  }

  /// Denies all.
  private func fail(_ entry: Entry, _ number: UInt32, _ failure: SetBody.Failure) {
    store(0, entry, number)
    entry.body?.release()
    entry.body = nil
    failed.insert(number)
    let reason: PolicyProblem.Reason =
      switch failure {
      case .noRoom(let room): .noRoom(map: room.map, needed: room.needed, free: room.free)
      case .tooManyRules(let count): .tooManyRules(count)
      }
    for point in entry.points.sorted(by: { $0.description < $1.description }) {
      report.add(PolicyProblem(point, reason))
    }
  }

  /// Puts off bringing sets up to date until ``settle()``.
  func putOff() { pending = [] }

  /// Brings the sets up to date that have been put off.
  func settle() {
    let numbers = pending ?? []
    pending = nil
    for number in numbers.sorted() { update(number) }
  }

  /// Tries again what has failed.
  func retry() {
    for number in failed.sorted() { update(number) }
  }

  // MARK: - Classes

  /// Makes all sets know a class that nothing is of yet.
  func prepare(_ new: ClassNumber, of kind: SpaceKind) {
    for (number, entry) in entries {
      guard let body = entry.body else { continue }
      do throws(NoRoom) {
        if try body.prepare(new, of: kind) { publish(entry, number) }
      } catch {
        fail(entry, number, .noRoom(error))
      }
    }
  }

  /// Forgets classes that nobody looks at any more.
  func forget(_ classes: [ClassNumber], of kind: SpaceKind) {
    for entry in entries.values {
      for number in classes { entry.body?.forget(number, of: kind) }
    }
  }

  /// Whether some set judges two classes differently.
  func distinguish(_ left: ClassNumber, _ right: ClassNumber, of kind: SpaceKind) -> Bool {
    left != right && entries.values.contains { $0.body?.distinguishes(left, right, of: kind) ?? false }
  }

  /// Denies all where it matters that a map says one class and should say another; elsewhere not, or no longer.
  func block(_ discrepancies: [(kind: SpaceKind, wanted: ClassNumber, actual: ClassNumber)]) {
    for (number, entry) in entries {
      let isBlocked = discrepancies.contains {
        entry.body?.distinguishes($0.wanted, $0.actual, of: $0.kind) ?? false
      }
      guard isBlocked != entry.isBlocked else { continue }
      entry.isBlocked = isBlocked
      publish(entry, number)
    }
  }

  // MARK: - Time

  /// Recycles what nobody reads any more.
  func reclaim(now: ContinuousClock.Instant, after grace: Duration) {
    settleHeaders()
    freeHeaders += retiredHeaders.expire(now: now, after: grace)
    let sets = retiredSets.expire(now: now, after: grace)
    for set in sets { maps.sets.write([0], at: Int(set)) }
    freeSets += sets
    for entry in entries.values { entry.body?.reclaim(now: now, after: grace) }
  }

  /// Whether something waits for the end of its grace period, or failed.
  var isPending: Bool {
    !leavingHeaders.isEmpty || !retiredHeaders.isEmpty || !retiredSets.isEmpty || !failed.isEmpty
      || entries.values.contains { $0.body?.hasResting ?? false }
  }

  // MARK: - Reading

  /// The rules of a set in order; `nil` if there is no such set, or it denies all.
  func rules(of number: UInt32) -> [CompiledRule]? { entries[number]?.body?.rulesInOrder }

  /// The list of a set. `nil`: there is no such set.
  func list(of number: UInt32) -> PolicyList? { entries[number]?.list }

  /// Free headers and sets.
  var free: (headers: Int, sets: Int) { (freeHeaders.count, freeSets.count) }
}
