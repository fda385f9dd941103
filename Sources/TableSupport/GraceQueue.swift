/// Things that nothing refers to any more but that a reader may still hold: they wait for a grace period.
///
/// The period of an element begins with the first ``expire(now:after:)`` after it was added, not with the adding: the
/// write that took the last reference away may come later in the same update.
package struct GraceQueue<Element> {
  private var added: [Element] = []
  private var waiting: [(since: ContinuousClock.Instant, elements: [Element])] = []

  /// A queue without elements.
  package init() {}

  package var isEmpty: Bool { added.isEmpty && waiting.isEmpty }

  package mutating func append(_ element: Element) {
    added.append(element)
  }

  /// Takes out what has waited for at least `grace`, and begins the period of what was added since the last call.
  package mutating func expire(now: ContinuousClock.Instant, after grace: Duration) -> [Element] {
    let expired = waiting.prefix { $0.since.advanced(by: grace) <= now }.flatMap(\.elements)
    waiting.removeAll { $0.since.advanced(by: grace) <= now }
    if !added.isEmpty {
      waiting.append((since: now, elements: added))
      added = []
    }
    return expired
  }

  /// Takes out everything, however long it has waited.
  package mutating func removeAll() -> [Element] {
    defer { (added, waiting) = ([], []) }
    return waiting.flatMap(\.elements) + added
  }
}
