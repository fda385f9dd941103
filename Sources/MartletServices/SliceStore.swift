import CBPF
import TableSupport

/// The slices of one array: which are in use, how often, and which wait until no reader can hold them any more.
///
/// A slice is written once, before anything refers to it, and never again while it is in use. It is counted once for
/// each frontend in the kernel's table that refers to it and once for the service port that made it; at zero it is
/// *retired*. A program that read the frontend just before may still be choosing from it, so the entries are handed out
/// again only after a grace period: ``reclaim(now:after:)``.
///
/// Slices that begin at the same entry are one *run*: the local slice is often the first part of the cluster slice.
struct SliceStore {
  private struct Run {
    var count: Int
    var references: Int
  }

  private var allocator: SliceAllocator
  private var runs: [UInt32: Run] = [:]
  private var retired = GraceQueue<UInt32>()

  init(capacity: Int) {
    allocator = SliceAllocator(capacity: capacity)
  }

  /// The store of an array whose `slices` are in use already. `nil` if they overlap or exceed the array.
  ///
  /// Each slice counts as one reference.
  init?(capacity: Int, adopting slices: [backend_slice]) {
    for slice in slices where slice.count > 0 {
      var run = runs[slice.offset] ?? Run(count: 0, references: 0)
      run.count = max(run.count, Int(slice.count))
      run.references += 1
      runs[slice.offset] = run
    }
    let used = runs.map { Int($0.key)..<(Int($0.key) + $0.value.count) }.sorted { $0.lowerBound < $1.lowerBound }
    guard used.last.map({ $0.upperBound <= capacity }) ?? true,
      zip(used, used.dropFirst()).allSatisfy({ $0.upperBound <= $1.lowerBound })
    else { return nil }
    allocator = SliceAllocator(capacity: capacity, used: used)
  }

  /// Entries that no slice has, not even a retired one.
  var freeCount: Int { allocator.freeCount }

  /// Whether slices wait for the end of their grace period.
  var hasRetired: Bool { !retired.isEmpty }

  /// A slice of `count` entries with one reference, or `nil` if there is no room.
  mutating func allocate(_ count: Int) -> backend_slice? {
    guard count > 0 else { return backend_slice() }
    guard let offset = allocator.allocate(count) else { return nil }
    runs[UInt32(offset)] = Run(count: count, references: 1)
    return backend_slice(offset: UInt32(offset), count: UInt32(count))
  }

  /// Counts one more reference. An empty slice needs none.
  mutating func retain(_ slice: backend_slice) {
    guard slice.count > 0 else { return }
    precondition(runs[slice.offset] != nil, "slice at \(slice.offset) is not in use")
    runs[slice.offset]?.references += 1
  }

  /// Takes back one reference; the last one retires the run.
  mutating func release(_ slice: backend_slice) {
    guard slice.count > 0 else { return }
    guard let run = runs[slice.offset] else { preconditionFailure("slice at \(slice.offset) is not in use") }
    runs[slice.offset]?.references = run.references - 1
    if run.references == 1 { retired.append(slice.offset) }
  }

  /// Takes back a slice that no frontend has ever referred to: it needs no grace period.
  mutating func discard(_ slice: backend_slice) {
    guard slice.count > 0, let run = runs.removeValue(forKey: slice.offset) else { return }
    precondition(run.references == 1, "slice at \(slice.offset) has been published")
    allocator.free(offset: Int(slice.offset), count: run.count)
  }

  /// Frees what has waited for `grace`; see ``GraceQueue/expire(now:after:)``. Returns whether anything became free.
  mutating func reclaim(now: ContinuousClock.Instant, after grace: Duration) -> Bool {
    let expired = retired.expire(now: now, after: grace)
    for offset in expired { free(offset) }
    return !expired.isEmpty
  }

  private mutating func free(_ offset: UInt32) {
    guard let run = runs.removeValue(forKey: offset) else { return }
    allocator.free(offset: Int(offset), count: run.count)
  }
}
