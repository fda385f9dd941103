import BPF

/// One operation on a map; keys and values are numbers into lists.
public enum MapAction: Sendable, Equatable {
  /// `get`.
  case get(Int)
  /// `update`.
  case update(Int, Int, UpdateMode)
  /// `remove`.
  case remove(Int)
  /// `take`.
  case take(Int)
  /// `update(keys:values:mode:)`.
  case updateBatch([Int], [Int], UpdateMode)
  /// `remove(keys:)`.
  case removeBatch([Int])
  /// All pairs, by `forEach`.
  case contents

  /// A random operation on one of `keys` keys.
  public static func random(keys: Int, values: Int, using generator: inout SplitMix64) -> MapAction {
    func key() -> Int { Int.random(in: 0..<keys, using: &generator) }
    func value() -> Int { Int.random(in: 0..<values, using: &generator) }
    func mode() -> UpdateMode { UpdateMode.allCases.randomElement(using: &generator) ?? .set }
    switch Int.random(in: 0..<200, using: &generator) {
    case 0..<60: return .get(key())
    case 60..<130: return .update(key(), value(), mode())
    case 130..<165: return .remove(key())
    case 165..<185: return .take(key())
    case 185..<193:
      let count = Int.random(in: 0..<24, using: &generator)
      return .updateBatch((0..<count).map { _ in key() }, (0..<count).map { _ in value() }, mode())
    case 193..<198: return .removeBatch((0..<Int.random(in: 0..<24, using: &generator)).map { _ in key() })
    default: return .contents
    }
  }
}

/// What an operation on a map came to.
enum MapOutcome: Equatable {
  case value(ByteString?)
  case done
  case removed(Bool)
  case count(Int)
  case contents([ByteString: ByteString])
  /// A key was handed over twice.
  case repeated(ByteString)
  case failed(BPFError.Kind)
}

extension MapOutcome {
  /// What `call` came to.
  init(_ call: () throws(BPFError) -> MapOutcome) {
    do throws(BPFError) {
      self = try call()
    } catch {
      self = .failed(error.kind)
    }
  }
}

extension MapOutcome {
  /// This outcome and the expected one; of two tables, only the keys that differ.
  func difference(from expected: MapOutcome) -> String {
    guard case .contents(let actualPairs) = self, case .contents(let expectedPairs) = expected else {
      return "\(self), expected \(expected)"
    }
    let keys = Set(actualPairs.keys).union(expectedPairs.keys).filter { actualPairs[$0] != expectedPairs[$0] }
    return keys.map { key in
      let (actual, expected) = (actualPairs[key]?.description, expectedPairs[key]?.description)
      return "\(key): \(actual ?? "nothing"), expected \(expected ?? "nothing")"
    }.joined(separator: "; ")
  }
}

extension MapAction {
  /// The same with fewer elements, for batches: halves first, then one less at a time.
  public var simpler: [MapAction] {
    func cuts(_ count: Int) -> [Range<Int>] {
      guard count > 1 else { return [] }
      return [count / 2..<count, 0..<count / 2] + (0..<count).map { $0..<$0 + 1 }
    }
    switch self {
    case .updateBatch(let keys, let values, let mode):
      return cuts(keys.count).map { cut in
        .updateBatch(keys.without(cut), values.without(cut), mode)
      }
    case .removeBatch(let keys): return cuts(keys.count).map { .removeBatch(keys.without($0)) }
    default: return []
    }
  }
}

extension Array {
  fileprivate func without(_ range: Range<Int>) -> [Element] {
    var rest = self
    rest.removeSubrange(range)
    return rest
  }
}
