/// A policy set's vectors by class, in one dimension.
///
/// The vector of a class has the bits of which the class fulfils the condition. It is that of class 0, but for the bits
/// of conditions to which the class is an exception; a class that is none has the same vector, the *fallback*.
final class DimensionTable {
  let dimension: Dimension
  private let space: ClassSpace
  private let words: WordStore
  private let pool: VectorPool
  /// The bits of each condition.
  private var bits: [ConditionNumber: [Int]] = [:]
  private var fallbackWords: [UInt64]
  /// The vector of classes that are no exceptions.
  private(set) var fallback: VectorPool.Number
  /// By class; `none`: the fallback.
  private var vectors: [VectorPool.Number] = []
  private(set) var run: WordStore.Run

  private static let none: VectorPool.Number = -1

  /// What a bit asks for.
  enum Demand: Equatable {
    /// Nobody has the bit.
    case unused
    case anyClass
    case condition(ConditionNumber)

    var isParticular: Bool { if case .condition = self { true } else { false } }
  }

  /// A table for bits that ask for `demands`.
  init(
    _ dimension: Dimension, demands: [Demand], space: ClassSpace, words: WordStore, pool: VectorPool
  ) throws(NoRoom) {
    self.dimension = dimension
    self.space = space
    self.words = words
    self.pool = pool
    fallbackWords = Array(repeating: 0, count: demands.count / 64)
    for (bit, demand) in demands.enumerated() {
      if case .condition(let condition) = demand { bits[condition, default: []].append(bit) }
      if Self.isDefault(demand, space) { fallbackWords[bit / 64] |= 1 << UInt64(bit % 64) }
    }
    fallback = try pool.retain(BitVector(fallbackWords))
    run = WordStore.Run(offset: 0, count: 0)
    do throws(NoRoom) {
      try fill()
    } catch {
      release()
      throw error
    }
  }

  private static func isDefault(_ demand: Demand, _ space: ClassSpace) -> Bool {
    switch demand {
    case .unused: false
    case .anyClass: true
    case .condition(let condition): space.holdsByDefault(condition)
    }
  }

  private func fill() throws(NoRoom) {
    var exceptions: Set<ClassNumber> = []
    for condition in bits.keys { exceptions.formUnion(space.exceptions(to: condition)) }
    vectors = Array(repeating: Self.none, count: Self.capacity(for: exceptions.max() ?? 0))
    for number in exceptions { vectors[Int(number)] = try pool.retain(vector(of: number)) }
    run = try words.place(vectors.map(offset))
  }

  /// Entries for classes up to `number`, and for some to come.
  private static func capacity(for number: ClassNumber) -> Int { Int(number) + Int(number) / 4 + 8 }

  /// Takes back everything.
  func release() {
    for vector in vectors where vector != Self.none { pool.release(vector) }
    pool.release(fallback)
    words.retire(run)
    vectors = []
  }

  private func offset(_ vector: VectorPool.Number) -> UInt64 {
    UInt64(pool.offset(vector == Self.none ? fallback : vector))
  }

  private func vector(of number: ClassNumber) -> BitVector {
    var words = fallbackWords
    forEachBit(ofExceptionsOf: number) { bit in words[bit / 64] ^= 1 << UInt64(bit % 64) }
    return BitVector(words)
  }

  private func forEachBit(ofExceptionsOf number: ClassNumber, _ body: (Int) -> Void) {
    let exceptions = space.exceptions(of: number)
    if exceptions.count < bits.count {
      for condition in exceptions { bits[condition]?.forEach(body) }
    } else {
      for (condition, bits) in bits where exceptions.contains(condition) { bits.forEach(body) }
    }
  }

  // MARK: - Classes

  /// The number of the vector of a class.
  func vectorNumber(of number: ClassNumber) -> VectorPool.Number {
    let vector = Int(number) < vectors.count ? vectors[Int(number)] : Self.none
    return vector == Self.none ? fallback : vector
  }

  /// Makes the table know a class that nothing is of yet. Returns whether the header has to be written anew.
  func prepare(_ number: ClassNumber) throws(NoRoom) -> Bool {
    let vector = vector(of: number)
    let isFallback = vector == pool[fallback]
    guard Int(number) < vectors.count else {
      if isFallback { return false }
      try grow(toHold: number)
      vectors[Int(number)] = try pool.retain(vector)
      words.set(offset(vectors[Int(number)]), at: Int(run.offset) + Int(number))
      return true
    }
    try replace(number, with: isFallback ? Self.none : pool.retain(vector))
    return false
  }

  /// Forgets a class.
  func forget(_ number: ClassNumber) {
    if Int(number) < vectors.count { replace(number, with: Self.none) }
  }

  private func grow(toHold number: ClassNumber) throws(NoRoom) {
    var grown = vectors
    grown += Array(repeating: Self.none, count: Self.capacity(for: number) - vectors.count)
    let old = run
    run = try words.place(grown.map(offset))
    vectors = grown
    words.retire(old)
  }

  private func replace(_ number: ClassNumber, with vector: VectorPool.Number) {
    let old = vectors[Int(number)]
    guard vector != old else {
      if old != Self.none { pool.release(old) }
      return
    }
    vectors[Int(number)] = vector
    words.set(offset(vector), at: Int(run.offset) + Int(number))
    if old != Self.none { pool.release(old) }
  }

  // MARK: - Bits

  /// Leaves what readers have as it is: changes from now on are for those of the next header.
  func copy() throws(NoRoom) {
    let old = run
    run = try words.place(vectors.map(offset))
    words.retire(old)
  }

  /// Changes what some bits ask for, none of which is live. The header has to be written anew before they are.
  func change(_ changes: [(bit: Int, old: Demand, new: Demand)]) throws(NoRoom) {
    var flipped = false
    var touched: Set<ClassNumber> = []
    for (bit, old, new) in changes {
      if case .condition(let condition) = old {
        bits[condition]?.removeAll { $0 == bit }
        if bits[condition]?.isEmpty == true { bits[condition] = nil }
        touched.formUnion(space.exceptions(to: condition))
      }
      if case .condition(let condition) = new {
        bits[condition, default: []].append(bit)
        touched.formUnion(space.exceptions(to: condition))
      }
      guard Self.isDefault(old, space) != Self.isDefault(new, space) else { continue }
      fallbackWords[bit / 64] ^= 1 << UInt64(bit % 64)
      flipped = true
    }
    if let last = touched.max(), Int(last) >= vectors.count { try grow(toHold: last) }
    guard flipped else {
      for number in touched { try renew(number, changes) }
      return
    }
    try changeFallback()
    for number in vectors.indices where vectors[number] != Self.none { try renew(ClassNumber(number), changes) }
    for number in touched where vectors[Int(number)] == Self.none { try renew(number, changes) }
  }

  /// Puts another fallback in place of the one before.
  private func changeFallback() throws(NoRoom) {
    let old = fallback
    fallback = try pool.retain(BitVector(fallbackWords))
    let offset = UInt64(pool.offset(fallback))
    for number in vectors.indices where vectors[number] == Self.none {
      words.set(offset, at: Int(run.offset) + number)
    }
    pool.release(old)
  }

  /// Corrects the changed bits of one vector.
  private func renew(_ number: ClassNumber, _ changes: [(bit: Int, old: Demand, new: Demand)]) throws(NoRoom) {
    var vector = pool[vectorNumber(of: number)]
    for (bit, _, new) in changes {
      vector[bit] =
        switch new {
        case .unused: false
        case .anyClass: true
        case .condition(let condition):
          space.holdsByDefault(condition) != space.exceptions(to: condition).contains(number)
        }
    }
    try replace(number, with: pool.retain(vector))
  }
}
