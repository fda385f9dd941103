/// Values with small numbers, each counted by how many refer to it.
struct Interner<Value: Hashable> {
  private var numbers: [Value: Int] = [:]
  private var values: [Value?] = []
  private var references: [Int] = []
  private var free: [Int] = []

  /// The number of `value`, with one reference more. `isNew`: nobody knew it before.
  mutating func retain(_ value: Value) -> (number: Int, isNew: Bool) {
    if let number = numbers[value] {
      references[number] += 1
      return (number, false)
    }
    let number = free.popLast() ?? values.count
    if number == values.count {
      values.append(nil)
      references.append(0)
    }
    values[number] = value
    references[number] = 1
    numbers[value] = number
    return (number, true)
  }

  mutating func retain(number: Int) { references[number] += 1 }

  /// Takes back a reference. With the last one the value is forgotten, and `true` returned; the number stays taken
  /// until ``recycle(_:)``.
  mutating func release(_ number: Int) -> Bool {
    references[number] -= 1
    guard references[number] == 0, let value = values[number] else { return false }
    numbers[value] = nil
    return true
  }

  /// Lets the number of a value that is forgotten be given to another.
  mutating func recycle(_ number: Int) {
    values[number] = nil
    free.append(number)
  }

  /// The value with a number that is taken.
  subscript(number: Int) -> Value {
    guard let value = values[number] else { preconditionFailure("nothing has number \(number)") }
    return value
  }

  func number(of value: Value) -> Int? { numbers[value] }

  /// One more than the highest number given out so far.
  var bound: Int { values.count }

  /// Values that somebody refers to.
  var count: Int { numbers.count }
}
