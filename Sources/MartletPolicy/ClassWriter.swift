import BPF

/// Moves what a map's key stands for from class to class.
///
/// A new class is made known to all policy sets before the map has it. If the map refuses, the sets to which the
/// difference matters are blocked until it no longer does.
final class ClassWriter<Key: Hashable & CustomStringConvertible> {
  /// A class that a key should be of, and the one that the map says.
  struct Discrepancy {
    let wanted: ClassNumber
    let actual: ClassNumber
  }

  let kind: SpaceKind
  private let space: ClassSpace
  private let sets: PolicySets
  private let report: UpdateReport
  /// Class `nil` removes the key.
  private let store: (Key, ClassNumber?) throws(BPFError) -> Void
  private(set) var discrepancies: [Key: Discrepancy] = [:]

  init(
    _ kind: SpaceKind, spaces: ClassSpaces, sets: PolicySets, report: UpdateReport,
    store: @escaping (Key, ClassNumber?) throws(BPFError) -> Void
  ) {
    self.kind = kind
    self.sets = sets
    self.report = report
    self.store = store
    space = spaces[kind]
  }

  /// Moves `key` from class `old` to the one with `attributes`, and returns that. If `isGone` the map loses the key, and
  /// `attributes` are those that a look-up finds then. If `isForced` the map is to have the key even if it is of class 0.
  func move(
    _ key: Key, from old: ClassNumber?, to attributes: some Sequence<Int>, isGone: Bool = false, isForced: Bool = false
  ) -> ClassNumber {
    let (new, isNew) = space.retainClass(attributes)
    if isNew { sets.prepare(new, of: kind) }
    if new != old || isGone || isForced {
      if sets.distinguish(old ?? 0, new, of: kind) { report.changesVerdicts = true }
      write(key, new, actual: discrepancies[key]?.actual ?? old ?? 0, isGone: isGone)
    }
    if let old { space.release(class: old) }
    return new
  }

  private func write(_ key: Key, _ wanted: ClassNumber, actual: ClassNumber, isGone: Bool) {
    do throws(BPFError) {
      try store(key, isGone ? nil : wanted)
      discrepancies[key] = nil
    } catch {
      report.add(PolicyProblem("\(key)", .map(error)))
      discrepancies[key] = Discrepancy(wanted: wanted, actual: actual)
      if isGone { gone.insert(key) } else { gone.remove(key) }
    }
  }

  private var gone: Set<Key> = []

  /// Tries again what the map has refused.
  func retry() {
    for (key, discrepancy) in discrepancies {
      write(key, discrepancy.wanted, actual: discrepancy.actual, isGone: gone.contains(key))
    }
  }
}
