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
