/// The vectors of all policy sets, equal ones once.
final class VectorPool {
  typealias Number = Int32

  private struct Entry {
    var vector: BitVector
    var run: WordStore.Run
    var references: Int
  }

  private let words: WordStore
  private var numbers: [BitVector: Number] = [:]
  private var entries: [Entry] = []
  private var free: [Number] = []

  /// A pool in `words`.
  init(_ words: WordStore) {
    self.words = words
  }

  subscript(number: Number) -> BitVector { entries[Int(number)].vector }

  /// Where a vector is in map `policy_words`.
  func offset(_ number: Number) -> UInt32 { entries[Int(number)].run.offset }

  /// Vectors in use.
  var count: Int { numbers.count }

  /// The number of `vector`, with one reference more.
  func retain(_ vector: BitVector) throws(NoRoom) -> Number {
    if let number = numbers[vector] {
      entries[Int(number)].references += 1
      return number
    }
    let entry = Entry(vector: vector, run: try words.place(vector.content), references: 1)
    let number = free.popLast() ?? Number(entries.count)
    if Int(number) == entries.count { entries.append(entry) } else { entries[Int(number)] = entry }
    numbers[vector] = number
    return number
  }

  /// Takes back a reference. With the last one the words are retired.
  func release(_ number: Number) {
    entries[Int(number)].references -= 1
    guard entries[Int(number)].references == 0 else { return }
    numbers[entries[Int(number)].vector] = nil
    words.retire(entries[Int(number)].run)
    free.append(number)
  }
}
