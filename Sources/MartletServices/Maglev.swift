import MartletNetworking

/// Maglev consistent hashing (Eisenbud et al., *Maglev: A Fast and Reliable Software Network Load Balancer*, NSDI 2016,
/// section 3.4).
///
/// Every backend has its own permutation of the table's slots, and backends take turns to claim the next slot of their
/// permutation that is still free. Shares differ by at most one slot, and when a backend comes or goes most slots keep
/// theirs. The table depends on the addresses and ports alone, so that all nodes with the same backends have the same
/// table, and a client that reaches another node in mid-flow reaches the same backend.
///
/// Building costs about `size * log(size)` steps, whatever the number of backends.
public struct Maglev: Sendable {
  /// The number of slots, a prime.
  public let size: Int

  /// Tables of `size` slots.
  ///
  /// The more slots a table has for each backend, the fewer of them move when a backend changes: a hundred for each
  /// move about one per cent more than they must. `nil` if `size` is not a prime between 3 and 2^31: only modulo a
  /// prime does every step visit all slots.
  public init?(size: Int) {
    guard Self.isPrime(size), size >= 3, size < Int(Int32.max) else { return nil }
    self.size = size
  }

  /// 16,381 slots: a hundred for each of 160 backends, in 64 KiB.
  public static let standard = Maglev(checked: 16_381)

  private init(checked size: Int) {
    self.size = size
  }

  /// The table for `backends`: for each slot the index of its backend, or an empty table if there is none.
  ///
  /// The order of `backends` does not matter beyond that indexes refer to it.
  public func table(for backends: [Backend]) -> [UInt32] {
    guard !backends.isEmpty else { return [] }
    let turns = backends.indices.sorted { backends[$0].endpoint < backends[$1].endpoint }
    var cursors = turns.map { Cursor(of: backends[$0], backend: UInt32($0), size: UInt64(size)) }
    let unclaimed = UInt32.max
    var table = [UInt32](repeating: unclaimed, count: size)
    var claimed = 0
    while true {
      for turn in cursors.indices {
        while table[Int(cursors[turn].slot)] != unclaimed { cursors[turn].advance(size: UInt64(size)) }
        table[Int(cursors[turn].slot)] = cursors[turn].backend
        claimed += 1
        if claimed == size { return table }
      }
    }
  }

  /// Where a backend is in its permutation of the slots: `offset`, `offset + skip`, `offset + 2 * skip`, …
  private struct Cursor {
    var slot: UInt64
    let skip: UInt64
    let backend: UInt32

    init(of backend: Backend, backend index: UInt32, size: UInt64) {
      slot = Self.hash(backend, seed: 0x6d61_676c_6576_0001) % size
      skip = Self.hash(backend, seed: 0x6d61_676c_6576_0002) % (size - 1) + 1
      self.backend = index
    }

    mutating func advance(size: UInt64) {
      slot += skip
      if slot >= size { slot -= size }
    }

    // Swift's Hasher is seeded anew in each process; this one must agree between nodes and versions.
    private static func hash(_ backend: Backend, seed: UInt64) -> UInt64 {
      var state = seed
      for word in [backend.address.high, backend.address.low, UInt64(backend.port)] { state = mix(state ^ word) }
      return state
    }

    /// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    private static func mix(_ value: UInt64) -> UInt64 {
      var z = value &+ 0x9e37_79b9_7f4a_7c15
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
  }

  private static func isPrime(_ number: Int) -> Bool {
    guard number >= 2 else { return false }
    var divisor = 2
    while divisor * divisor <= number {
      if number % divisor == 0 { return false }
      divisor += 1
    }
    return true
  }
}
