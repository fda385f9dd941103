import BPF

/// What an ``ArrayStorage`` has to do, a rule a case.
public enum ArrayRule: String, Sendable, CaseIterable, CustomStringConvertible {
  /// Entries are zeros to begin with.
  case startsWithZeros = "entries start as zeros"
  /// What is written is read, and nothing else changes.
  case writeStoresRun = "a write stores a run of entries"
  /// The whole array can be written at once.
  case writesWhole = "the whole array can be written"

  /// The sentence.
  public var description: String { rawValue }

  /// Checks the rule on a fresh `array` of 100 entries.
  ///
  /// - Parameter value: a value for each number, all different.
  public func verify<Storage: ArrayStorage & ~Copyable>(
    _ array: borrowing Storage, value: (Int) -> Storage.Value
  ) throws {
    let verdict = Verdict(rule: rawValue)
    try verdict.expect(array.count == 100, "it has \(array.count) entries, expected 100")
    func expect(_ index: Int, _ expected: Int?) throws {
      let bytes = ByteString(array.read(index))
      let matches = expected.map { bytes == ByteString(value($0)) } ?? bytes.bytes.allSatisfy { $0 == 0 }
      try verdict.expect(matches, "entry \(index) holds \(bytes)")
    }
    switch self {
    case .startsWithZeros:
      for index in 0..<100 { try expect(index, nil) }
    case .writeStoresRun:
      array.write([value(1), value(2), value(3)], at: 50)
      array.write([], at: 100)
      for index in 0..<100 { try expect(index, (50..<53).contains(index) ? index - 49 : nil) }
    case .writesWhole:
      array.write((0..<100).map { value($0) }, at: 0)
      for index in 0..<100 { try expect(index, index) }
    }
  }
}
