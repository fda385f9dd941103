import BPF
import CBPF
import TableSupport

/// Removes entries of map `affinity` that no service may look at any more: those of ports that are gone, before their
/// id is given to another, and those of ports that had affinity switched off.
struct AffinityCleaner {
  private let map: any MapStorage<affinity_key, affinity>
  /// Ids of ports that have, or have had, affinity.
  private var active: Set<UInt32> = []
  private var disabled: Set<UInt32> = []
  private var ended = GraceQueue<UInt32>()
  /// Ids whose entries are to be removed now.
  private var unwanted: Set<UInt32> = []

  init(_ map: any MapStorage<affinity_key, affinity>) {
    self.map = map
  }

  var isPending: Bool { !ended.isEmpty || !unwanted.isEmpty }

  mutating func setTimeout(_ timeout: UInt32, of id: UInt32, isRemoved: Bool) {
    if timeout > 0 {
      active.insert(id)
      disabled.remove(id)
      unwanted.remove(id)
    } else if !isRemoved, active.contains(id), disabled.insert(id).inserted {
      ended.append(id)
    }
  }

  /// Removes the entries of `expiredIDs` and of ports without affinity for a grace period, in one pass over the map,
  /// and in none if there cannot be any.
  mutating func clean(
    expiredIDs: [UInt32], now: ContinuousClock.Instant, after grace: Duration, _ outcome: inout ServiceTable.Outcome
  ) {
    let off = ended.expire(now: now, after: grace).filter(disabled.contains)
    unwanted.formUnion(active.intersection(expiredIDs + off))
    guard !unwanted.isEmpty else { return }
    active.subtract(unwanted)
    disabled.subtract(unwanted)
    do throws(BPFError) {
      try removeEntries { unwanted.contains($0) }
      unwanted = []
    } catch {
      outcome.problems.append(ServiceProblem("session affinity of removed services", .map(error)))
    }
  }

  /// Removes the entries of services of which `isUnwanted`.
  func removeEntries(ofServices isUnwanted: (UInt32) -> Bool) throws(BPFError) {
    var keys: [affinity_key] = []
    try map.forEach { (key: affinity_key, _: affinity) throws(BPFError) in
      if isUnwanted(key.service) { keys.append(key) }
    }
    if !keys.isEmpty { try map.remove(keys: keys) }
  }
}
