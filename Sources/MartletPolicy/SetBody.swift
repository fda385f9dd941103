import CBPF
import MartletNetworking
import TableSupport

/// The vectors of a policy set, and the rules that are its bits.
///
/// Rules come and go while the body stays: a bit that is not live means nothing to readers, so it is put into all
/// vectors first and becomes live by the next header. A bit that is no longer live keeps its meaning until it is used
/// again, and is not used again for a grace period.
final class SetBody {
  private enum BitState {
    case free
    case live
    /// Live in a header that somebody may be reading.
    case resting
  }

  /// A rule and its bits.
  private struct Placement {
    let expansion: RuleExpansion
    let tier: Int
    let bits: [Int]
  }

  private let context: SetContext
  private let layout: BitLayout
  private var placements: [Placement] = []
  private var states: [BitState]
  /// By bit: the alternative of the rule that the bit stands for, or last did.
  private var occupants: [(expansion: RuleExpansion, alternative: Int)?]
  private var tables: [DimensionTable?] = Array(repeating: nil, count: Dimension.count)
  private var live: [VectorPool.Number] = []
  /// The bits that the next header has live.
  private var liveWords: (ipv4: [UInt64], ipv6: [UInt64])
  private var rules: WordStore.Run
  private var resting = GraceQueue<[(bit: Int, rest: Int)]>()
  /// By bit: how often it has begun to rest.
  private var rests: [Int]

  /// What can go wrong.
  enum Failure: Error {
    case noRoom(NoRoom)
    case tooManyRules(Int)
  }

  // MARK: - Building

  /// A body of `rules` that nobody reads yet.
  init(
    _ rules: [(expansion: RuleExpansion, tier: Int)], tierCount: Int, busy: Int?, context: SetContext
  ) throws(Failure) {
    self.context = context
    let sizes = rules.map(\.expansion.bits.count)
    guard let layout = BitLayout(sizes: sizes, tiers: rules.map(\.tier), tierCount: tierCount, busy: busy) else {
      throw .tooManyRules(sizes.reduce(0, +))
    }
    self.layout = layout
    states = Array(repeating: .free, count: layout.count)
    occupants = Array(repeating: nil, count: layout.count)
    rests = Array(repeating: 0, count: layout.count)
    let none = Array(repeating: UInt64(0), count: layout.count / 64)
    liveWords = (none, none)
    self.rules = WordStore.Run(offset: 0, count: 0)
    for (index, (expansion, tier)) in rules.enumerated() {
      let bits = Array(layout.first[index]..<(layout.first[index] + sizes[index]))
      let placement = Placement(expansion: expansion, tier: tier, bits: bits)
      placements.append(placement)
      context.book.retain(expansion)
      occupy(placement)
    }
    do throws(NoRoom) {
      try writeAll()
    } catch {
      release()
      throw .noRoom(error)
    }
  }

  private func occupy(_ placement: Placement) {
    for (alternative, bit) in placement.bits.enumerated() {
      if let old = occupants[bit] { context.retire(old.expansion) }
      occupants[bit] = (placement.expansion, alternative)
      states[bit] = .live
      context.book.retain(placement.expansion)
    }
    setLive(placement, true)
  }

  private func writeAll() throws(NoRoom) {
    rules = try context.words.place(ruleWords)
    for dimension in Dimension.allCases where isParticular(dimension) {
      tables[dimension.rawValue] = try table(dimension)
    }
    live = try liveVectors()
  }

  private var ruleWords: [UInt64] {
    var words = Array(repeating: UInt64(0), count: layout.count)
    for placement in placements {
      let word = word(placement)
      for bit in placement.bits { words[bit] = word }
    }
    return words
  }

  private func isParticular(_ dimension: Dimension) -> Bool {
    occupants.contains { $0.map { $0.expansion.bits[$0.alternative][dimension.rawValue] != nil } ?? false }
  }

  private func demand(_ bit: Int, _ dimension: Dimension) -> DimensionTable.Demand {
    guard let occupant = occupants[bit] else { return .unused }
    return occupant.expansion.bits[occupant.alternative][dimension.rawValue].map { .condition($0) } ?? .anyClass
  }

  private func table(_ dimension: Dimension) throws(NoRoom) -> DimensionTable {
    try DimensionTable(
      dimension, demands: occupants.indices.map { demand($0, dimension) }, space: context.spaces[dimension],
      words: context.words, pool: context.pool)
  }

  /// What the programs read of a rule.
  private func word(_ placement: Placement) -> UInt64 {
    let rule = placement.expansion.rule
    let next = layout.end(ofTier: placement.tier)
    let target = rule.action == POLICY_PASS.rawValue ? UInt64(next < layout.count ? next : BitVector.capacity) : 0
    return UInt64(rule.id) << UInt64(POLICY_RULE_ID_SHIFT) | UInt64(rule.action) << UInt64(POLICY_RULE_ACTION_SHIFT)
      | target
  }

  /// Makes the bits of a rule count, or no longer, in the next header.
  private func setLive(_ placement: Placement, _ isLive: Bool) {
    for bit in placement.bits {
      let mask = UInt64(1) << UInt64(bit % 64)
      if placement.expansion.families.contains(.ipv4) { flip(&liveWords.ipv4[bit / 64], mask, isLive) }
      if placement.expansion.families.contains(.ipv6) { flip(&liveWords.ipv6[bit / 64], mask, isLive) }
    }
  }

  private func flip(_ word: inout UInt64, _ mask: UInt64, _ isSet: Bool) {
    if isSet { word |= mask } else { word &= ~mask }
  }

  private func liveVectors() throws(NoRoom) -> [VectorPool.Number] {
    let first = try context.pool.retain(BitVector(liveWords.ipv4))
    do throws(NoRoom) {
      return [first, try context.pool.retain(BitVector(liveWords.ipv6))]
    } catch {
      context.pool.release(first)
      throw error
    }
  }

  /// Takes back everything. Nobody begins to read the body any more.
  func release() {
    for table in tables { table?.release() }
    for vector in live { context.pool.release(vector) }
    context.words.retire(rules)
    for placement in placements { context.retire(placement.expansion) }
    for case let occupant? in occupants { context.retire(occupant.expansion) }
    (tables, live, occupants, placements) = ([], [], [], [])
  }

  // MARK: - Reading

  /// The header of the body as it is now.
  func header(unmatched: UInt32) -> policy_header {
    var header = policy_header()
    header.live = (context.pool.offset(live[0]), context.pool.offset(live[1]))
    header.rules = rules.offset
    header.unmatched = unmatched
    for case let table? in tables {
      let index = table.dimension.rawValue
      header.dimensions |= 1 << UInt32(index)
      set(table.run.offset, at: index, of: &header.tables)
      set(UInt32(table.run.count), at: index, of: &header.classes)
      set(context.pool.offset(table.fallback), at: index, of: &header.fallback)
    }
    return header
  }

  /// The rules in order.
  var rulesInOrder: [CompiledRule] { placements.map(\.expansion.rule) }

  /// Whether two classes have different vectors.
  func distinguishes(_ left: ClassNumber, _ right: ClassNumber, of kind: SpaceKind) -> Bool {
    tables.contains { table in
      guard let table, table.dimension.space == kind else { return false }
      return table.vectorNumber(of: left) != table.vectorNumber(of: right)
    }
  }

  // MARK: - Classes

  /// Makes the body know a class that nothing is of yet. Returns whether the header has to be written anew.
  func prepare(_ number: ClassNumber, of kind: SpaceKind) throws(NoRoom) -> Bool {
    var needsHeader = false
    for case let table? in tables where table.dimension.space == kind {
      if try table.prepare(number) { needsHeader = true }
    }
    return needsHeader
  }

  /// Forgets a class that nobody looks at any more.
  func forget(_ number: ClassNumber, of kind: SpaceKind) {
    for case let table? in tables where table.dimension.space == kind { table.forget(number) }
  }

  // MARK: - Changing

  /// What a change came to.
  enum Change {
    case none
    /// The header has to be written anew.
    case done
    /// There is no room at the place: a new body is needed, with room at the rule with this index.
    case needsBody(busy: Int)
  }

  /// Makes the body one of `rules`, whose tiers are the same as before. If this throws, the body is good for nothing
  /// but what its header says now.
  ///
  /// Best are free bits at the place, which mean nothing to the header in use. Otherwise rules nearby move as well, to
  /// bits that do mean something: then the tables concerned are copied first.
  func change(to rules: [(expansion: RuleExpansion, tier: Int)]) throws(NoRoom) -> Change {
    var first = 0
    while first < min(placements.count, rules.count), isSame(placements[first], rules[first]) { first += 1 }
    var last = 0
    while last < min(placements.count, rules.count) - first,
      isSame(placements[placements.count - 1 - last], rules[rules.count - 1 - last])
    {
      last += 1
    }
    let removed = first..<(placements.count - last)
    let added = Array(rules[first..<(rules.count - last)])
    guard !removed.isEmpty || !added.isEmpty else { return .none }
    if let new = place(added, between: removed, where: { states[$0] == .free }) {
      try replace(removed, by: new, copying: false)
    } else if let (range, new) = shift(added, insteadOf: removed) {
      try replace(range, by: new, copying: true)
    } else {
      return .needsBody(busy: first)
    }
    return .done
  }

  private func isSame(_ placement: Placement, _ rule: (expansion: RuleExpansion, tier: Int)) -> Bool {
    placement.expansion === rule.expansion && placement.tier == rule.tier
  }

  /// Bits, of those that are `available`, for rules in place of the placements in `range`. `nil`: there is no room.
  private func place(
    _ rules: [(expansion: RuleExpansion, tier: Int)], between range: Range<Int>, where isAvailable: (Int) -> Bool
  ) -> [Placement]? {
    let lower = placements[..<range.lowerBound].last { !$0.bits.isEmpty }.flatMap(\.bits.last).map { $0 + 1 } ?? 0
    let upper = placements[range.upperBound...].first { !$0.bits.isEmpty }.flatMap(\.bits.first) ?? layout.count
    var result: [Placement] = []
    for tier in Set(rules.map(\.tier)).sorted() {
      let group = rules.filter { $0.tier == tier }
      let (low, high) = (max(lower, layout.start(ofTier: tier)), min(upper, layout.end(ofTier: tier)))
      let free = low < high ? (low..<high).filter(isAvailable) : []
      let needed = group.reduce(0) { $0 + $1.expansion.bits.count }
      guard free.count >= needed else { return nil }
      var used = 0
      for (expansion, tier) in group {
        let bits = expansion.bits.indices.map { free[(2 * (used + $0) + 1) * free.count / (2 * needed)] }
        used += bits.count
        result.append(Placement(expansion: expansion, tier: tier, bits: bits))
      }
    }
    return result
  }

  /// Bits for rules in place of the placements in `removed`, and for as many neighbours of these as have to move for
  /// that. `nil`: they are too many.
  private func shift(
    _ added: [(expansion: RuleExpansion, tier: Int)], insteadOf removed: Range<Int>
  ) -> (range: Range<Int>, new: [Placement])? {
    var range = removed
    for _ in 0..<Self.mostShifts {
      let rules =
        placements[range.lowerBound..<removed.lowerBound].map { ($0.expansion, $0.tier) } + added
        + placements[removed.upperBound..<range.upperBound].map { ($0.expansion, $0.tier) }
      if let new = place(rules, between: range, where: { _ in true }) { return (range, new) }
      range = max(range.lowerBound - 2, 0)..<min(range.upperBound + 2, placements.count)
    }
    return nil
  }

  private static let mostShifts = 24

  private func replace(_ range: Range<Int>, by new: [Placement], copying: Bool) throws(NoRoom) {
    let old = Array(placements[range])
    for placement in new { context.book.retain(placement.expansion) }
    for placement in old {
      for bit in placement.bits { states[bit] = .resting }
      setLive(placement, false)
    }
    placements.replaceSubrange(range, with: new)
    try write(new, copying: copying)
    let oldLive = live
    live = try liveVectors()
    for vector in oldLive { context.pool.release(vector) }
    let bits = old.flatMap(\.bits)
    for bit in bits { rests[bit] += 1 }
    resting.append(bits.map { ($0, rests[$0]) })
    for placement in old { context.retire(placement.expansion) }
  }

  /// Puts rules into all vectors: of bits that are not live, or of copies of the tables.
  private func write(_ new: [Placement], copying: Bool) throws(NoRoom) {
    let bits = new.flatMap(\.bits)
    let old = Dimension.allCases.map { dimension in bits.map { demand($0, dimension) } }
    for placement in new { occupy(placement) }
    for dimension in Dimension.allCases {
      let changes = zip(bits, old[dimension.rawValue]).map { bit, old in
        (bit: bit, old: old, new: demand(bit, dimension))
      }
      .filter { $0.old != $0.new }
      if let table = tables[dimension.rawValue] {
        guard !changes.isEmpty else { continue }
        if copying { try table.copy() }
        try table.change(changes)
      } else if changes.contains(where: \.new.isParticular) {
        tables[dimension.rawValue] = try table(dimension)
      }
    }
    guard !copying else { return try copyRules() }
    for placement in new {
      for bit in placement.bits { context.words.set(word(placement), at: Int(rules.offset) + bit) }
    }
  }

  private func copyRules() throws(NoRoom) {
    let old = rules
    rules = try context.words.place(ruleWords)
    context.words.retire(old)
  }

  /// Lets bits be used again of which nobody reads the header any more.
  func reclaim(now: ContinuousClock.Instant, after grace: Duration) {
    for (bit, rest) in resting.expire(now: now, after: grace).joined() where states[bit] == .resting {
      if rests[bit] == rest { states[bit] = .free }
    }
  }

  /// Bits that keep the meaning of rules that are gone, and with it the classes that those needed.
  var staleCount: Int { zip(states, occupants).count { $0 != .live && $1 != nil } }

  /// Bits that are live.
  var liveCount: Int { states.count { $0 == .live } }

  /// Whether bits wait for the end of their grace period.
  var hasResting: Bool { !resting.isEmpty }
}

/// C's arrays come to Swift as tuples.
private func set<Words: BitwiseCopyable>(_ value: UInt32, at index: Int, of words: inout Words) {
  withUnsafeMutableBytes(of: &words) { $0.storeBytes(of: value, toByteOffset: index * 4, as: UInt32.self) }
}
