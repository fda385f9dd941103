import TableSupport

/// The ids of service ports: what affinity, source ranges and flows know a port by.
///
/// An id stays with its port for the port's life, and through a restart of the agent. It counts one reference for the
/// port and one for each frontend in the kernel's table; afterwards it waits a grace period before
/// ``reclaim(now:after:)`` hands it back, so that nothing remembered for one service is ever found by another.
struct ServiceIDs {
  private var references: [UInt32: Int] = [:]
  private var retired = GraceQueue<UInt32>()
  /// Ids that the kernel's table had at take-over and that no port has been matched with yet.
  private(set) var unmatched: Set<UInt32> = []
  private var last: UInt32 = 0

  /// Whether ids wait for the end of their grace period.
  var hasRetired: Bool { !retired.isEmpty }

  /// An id that nothing else has, with one reference. Never 0.
  ///
  /// Ids go round, so that one is used again as late as can be.
  mutating func allocate() -> UInt32 {
    repeat { last &+= 1 } while last == 0 || references[last] != nil
    references[last] = 1
    return last
  }

  mutating func retain(_ id: UInt32) {
    references[id, default: 0] += 1
  }

  mutating func release(_ id: UInt32) {
    guard let count = references[id], count > 0 else { preconditionFailure("service id \(id) is not in use") }
    references[id] = count - 1
    if count == 1 { retired.append(id) }
  }

  /// Takes back ids that have waited for `grace`, and returns them.
  mutating func reclaim(now: ContinuousClock.Instant, after grace: Duration) -> [UInt32] {
    let expired = retired.expire(now: now, after: grace)
    for id in expired { references[id] = nil }
    return expired
  }

  /// Whether anything refers to `id`.
  func isInUse(_ id: UInt32) -> Bool { references[id, default: 0] > 0 }

  // MARK: - Take-over

  /// Counts a frontend that is in the kernel's table at take-over.
  mutating func adopt(_ id: UInt32) {
    retain(id)
    unmatched.insert(id)
    last = max(last, id)
  }

  /// Gives an unmatched id to the port that it is matched with: one more reference.
  mutating func match(_ id: UInt32) -> UInt32 {
    unmatched.remove(id)
    retain(id)
    return id
  }

  /// Ends matching: what is left belongs to nobody.
  mutating func endMatching() {
    unmatched = []
  }
}
