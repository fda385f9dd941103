import TableSupport

/// What all policy sets share.
final class SetContext {
  let words: WordStore
  let pool: VectorPool
  let spaces: ClassSpaces
  let book: RuleBook
  private var retired = GraceQueue<RuleExpansion>()

  init(words: WordStore, spaces: ClassSpaces, book: RuleBook) {
    self.words = words
    self.spaces = spaces
    self.book = book
    pool = VectorPool(words)
    // Header 0 is of zeros: what it refers to is the empty vector, which stays.
    _ = try? pool.retain(BitVector([]))
  }

  /// Takes back an expansion once nobody reads the bits that it was. Until then its classes stay as they are.
  func retire(_ expansion: RuleExpansion) { retired.append(expansion) }

  var hasRetired: Bool { !retired.isEmpty || words.hasRetired }

  /// Frees what has been retired for `grace`. Returns whether words became free.
  func reclaim(now: ContinuousClock.Instant, after grace: Duration) -> Bool {
    for expansion in retired.expire(now: now, after: grace) { book.release(expansion) }
    return words.reclaim(now: now, after: grace)
  }
}
