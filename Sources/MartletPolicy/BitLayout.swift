/// Where the rules of a set are among its bits: in order, with room between them for more.
struct BitLayout {
  /// Bits, used or not: a multiple of 64.
  let count: Int
  /// The first bit of each rule.
  let first: [Int]
  /// By tier: the first bit that belongs to the next. What is put in later respects it, as rules that pass refer to it.
  let tierEnds: [Int]

  /// A layout for rules of `sizes` bits in these `tiers`, which do not fall. `nil`: they are too many.
  ///
  /// As many bits stay free as are used, if there are so many, spread evenly, but for what is kept at the rule with index `busy`: where rules
  /// have just been changed, more changes are likely.
  init?(sizes: [Int], tiers: [Int], tierCount: Int, busy: Int?) {
    let total = sizes.reduce(0, +)
    guard total <= BitVector.capacity else { return nil }
    count = max(64, min(BitVector.capacity, (2 * total + 63) / 64 * 64))
    let slack = count - total
    let reserve = busy == nil ? 0 : min(Self.busyReserve, slack / 2)
    let spread = slack - reserve
    var first: [Int] = []
    var ends = Array(repeating: 0, count: tierCount)
    var used = 0
    var previousEnd = 0
    for index in sizes.indices {
      let position = used + (index + 1) * spread / (sizes.count + 1) + (index >= (busy ?? .max) ? reserve : 0)
      let middle = previousEnd + (position - previousEnd + 1) / 2
      // Tiers up to this rule's end in the gap before it.
      for tier in 0..<min(tiers[index], tierCount) where ends[tier] == 0 { ends[tier] = middle }
      first.append(position)
      used += sizes[index]
      previousEnd = position + sizes[index]
    }
    for tier in 0..<tierCount where ends[tier] == 0 { ends[tier] = previousEnd + (count - previousEnd + 1) / 2 }
    self.first = first
    tierEnds = ends
  }

  private static let busyReserve = 256

  /// The first bit of a tier.
  func start(ofTier tier: Int) -> Int { tier == 0 ? 0 : tierEnds[tier - 1] }

  /// One more than the last bit of a tier.
  func end(ofTier tier: Int) -> Int { tier < tierEnds.count ? tierEnds[tier] : count }
}
