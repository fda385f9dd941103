import MartletModel

/// The points of this node, and which policies select each.
final class PointTable {
  private struct Point {
    /// The number of the endpoint's labels.
    var labels: Int
    var profiles: [String]
    var set: UInt32
  }

  private let catalog: PolicyCatalog
  private let sets: PolicySets
  /// Labels of the endpoints, and the selectors of the policies.
  private var subjects = AttributeIndex()
  /// By number of the selector: the policies with it.
  private var policies: [Int: Set<Int>] = [:]
  private var points: [PolicyPoint: Point] = [:]
  private var pointsByLabels: [Int: Set<PolicyPoint>] = [:]
  /// Lists that have been made out of the policies as they are.
  private var lists: [Circumstances: PolicyList?] = [:]
  /// Points whose list is found out by ``settle()``. `nil`: it is found out at once.
  private var pending: Set<PolicyPoint>?

  init(catalog: PolicyCatalog, sets: PolicySets) {
    self.catalog = catalog
    self.sets = sets
  }

  /// The id of the set that judges `point`; 0: none.
  func setID(of point: PolicyPoint) -> UInt32 { points[point]?.set ?? 0 }

  /// All points that are judged by a set.
  var all: [PolicyPoint] { points.filter { $0.value.set != 0 }.map(\.key) }

  // MARK: - Endpoints

  /// Enters the points of an endpoint, or what they are now.
  func set(_ names: [PolicyPoint], labels: [String: String], profiles: [String]) {
    var moves: [PolicyPoint: PolicyList?] = [:]
    for name in names {
      let number = subjects.retain(.labels(.endpoint, labels)).number
      if let old = points[name] {
        if old.labels == number && old.profiles == profiles {
          subjects.release(attribute: number)
          continue
        }
        leave(name, old.labels)
        points[name]?.labels = number
        points[name]?.profiles = profiles
      } else {
        points[name] = Point(labels: number, profiles: profiles, set: 0)
      }
      pointsByLabels[number, default: []].insert(name)
      if pending?.insert(name) == nil { moves[name] = .some(list(name)) }
    }
    move(moves)
  }

  /// Removes the points of an endpoint.
  func remove(_ names: [PolicyPoint]) {
    let known = names.filter { points[$0] != nil }
    pending?.subtract(known)
    let nowhere: PolicyList? = nil
    move(Dictionary(uniqueKeysWithValues: known.map { ($0, nowhere) }))
    for name in known {
      guard let point = points.removeValue(forKey: name) else { continue }
      leave(name, point.labels)
    }
  }

  private func leave(_ name: PolicyPoint, _ labels: Int) {
    pointsByLabels[labels]?.remove(name)
    if pointsByLabels[labels]?.isEmpty == true { pointsByLabels[labels] = nil }
    subjects.release(attribute: labels)
  }

  /// What a list follows from, as long as the policies are the same.
  private struct Circumstances: Hashable {
    let subjects: Set<Int>
    let stages: Set<Policy.Stage>
    let direction: PolicyDirection
    let isHost: Bool
    let ending: PolicyEnding
    let profiles: [String]
  }

  private func list(_ name: PolicyPoint) -> PolicyList? {
    guard let point = points[name] else { return nil }
    let circumstances = Circumstances(
      subjects: subjects.patterns(matchedBy: point.labels), stages: name.stages, direction: name.direction,
      isHost: name.isHost, ending: name.ending, profiles: point.profiles)
    if let known = lists[circumstances] { return known }
    let policies = circumstances.subjects.reduce(into: Set<Int>()) { $0.formUnion(self.policies[$1] ?? []) }
    let list = catalog.list(policies, at: name, profiles: point.profiles)
    lists[circumstances] = .some(list)
    return list
  }

  private func move(_ moves: [PolicyPoint: PolicyList?]) {
    let numbers = sets.move(moves) { [points] in points[$0]?.set ?? 0 }
    for (name, number) in numbers { points[name]?.set = number }
  }

  // MARK: - Policies

  /// Enters a policy that is new, or whose subject is.
  func insert(_ entry: PolicyCatalog.Entry) {
    let pattern = subjects.retain(.selector(.endpoint, entry.policy.subject.selector)).number
    policies[pattern, default: []].insert(entry.number)
  }

  /// Takes a policy out, as it was entered.
  func remove(_ entry: PolicyCatalog.Entry) {
    let pattern = Pattern.selector(.endpoint, entry.policy.subject.selector)
    guard let number = subjects.number(of: pattern) else { return }
    policies[number]?.remove(entry.number)
    if policies[number]?.isEmpty == true { policies[number] = nil }
    _ = subjects.release(pattern: number)
  }

  /// The points of the endpoints that `selector`, of some policy that is entered, matches.
  func points(matching selector: Selector) -> Set<PolicyPoint> {
    guard let pattern = subjects.number(of: .selector(.endpoint, selector)) else { return [] }
    return subjects.attributes(matching: pattern).reduce(into: []) { $0.formUnion(pointsByLabels[$1] ?? []) }
  }

  /// Finds out anew what judges `names`, after a change of something other than an endpoint.
  func renew(_ names: Set<PolicyPoint>) {
    guard pending == nil else { return pending?.formUnion(names) ?? () }
    move(Dictionary(uniqueKeysWithValues: names.filter { points[$0] != nil }.map { ($0, list($0)) }))
  }

  /// Forgets the lists that are known: policies or tiers are others now.
  func forgetLists() { lists = [:] }

  // MARK: - Many changes

  /// Puts off finding out what judges whom until ``settle()``.
  func putOff() { pending = [] }

  /// Finds out what has been put off.
  func settle() {
    let names = pending ?? []
    pending = nil
    move(Dictionary(uniqueKeysWithValues: names.filter { points[$0] != nil }.map { ($0, list($0)) }))
  }

  /// Looks once more for a set for points that got none.
  func retry() {
    let denied = Set(points.filter { $0.value.set == PolicySets.denial }.keys)
    if !denied.isEmpty { renew(denied) }
  }

  /// All points.
  var names: Set<PolicyPoint> { Set(points.keys) }
}
