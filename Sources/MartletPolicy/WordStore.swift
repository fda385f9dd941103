import BPF
import Glibc
import TableSupport

/// Thrown where a map has no room left.
struct NoRoom: Error {
  let map: String
  let needed: Int
  let free: Int
}

/// Room in map `policy_words`.
///
/// What is taken back may still be read; it is handed out again after a grace period.
final class WordStore {
  /// A run of words.
  struct Run {
    let offset: UInt32
    let count: Int
  }

  /// Words that are handed out together: fewer runs to keep account of.
  private static let unit = 4

  let words: any ArrayStorage<UInt64>
  private var allocator: SliceAllocator
  /// Runs to which the change under way has taken the last reference, or will have when it is published.
  private var leaving: [Run] = []
  private var retired = GraceQueue<Run>()

  init(_ words: any ArrayStorage<UInt64>) {
    self.words = words
    allocator = SliceAllocator(capacity: words.count / Self.unit)
  }

  var freeCount: Int { allocator.freeCount * Self.unit }

  var hasRetired: Bool { !retired.isEmpty || !leaving.isEmpty }

  /// Stores `content` where nobody reads yet.
  func place(_ content: [UInt64]) throws(NoRoom) -> Run {
    guard let offset = allocator.allocate(Self.units(content.count)) ?? allocateRetired(content.count) else {
      throw NoRoom(map: "policy_words", needed: content.count, free: freeCount)
    }
    words.write(content, at: offset * Self.unit)
    return Run(offset: UInt32(offset * Self.unit), count: content.count)
  }

  /// Stores one word under a reader's eyes.
  func set(_ word: UInt64, at offset: Int) { words.write([word], at: offset) }

  func retire(_ run: Run) {
    if run.count > 0 { leaving.append(run) }
  }

  /// To be called where all that has been changed is published.
  func settle() {
    for run in leaving { retired.append(run) }
    leaving = []
  }

  /// Changes come so fast that all room waits for the end of the grace period. It is a thousand times as long as a
  /// program runs: a short wait has to do.
  private func allocateRetired(_ count: Int) -> Int? {
    guard !retired.isEmpty else { return nil }
    usleep(Self.shortWait)
    for run in retired.removeAll() { free(run) }
    return allocator.allocate(Self.units(count))
  }

  /// Microseconds.
  static let shortWait: UInt32 = 5_000

  /// Frees what has been retired for `grace`. Returns whether anything became free.
  func reclaim(now: ContinuousClock.Instant, after grace: Duration) -> Bool {
    settle()
    let expired = retired.expire(now: now, after: grace)
    for run in expired { free(run) }
    return !expired.isEmpty
  }

  private func free(_ run: Run) {
    allocator.free(offset: Int(run.offset) / Self.unit, count: Self.units(run.count))
  }

  private static func units(_ count: Int) -> Int { (count + unit - 1) / unit }
}
