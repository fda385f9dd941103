import BPF
import CBPF

/// What a storage that matches the longest prefix has to do besides ``MapRule``, a rule a case.
public enum PrefixRule: String, Sendable, CaseIterable, CustomStringConvertible {
  /// The most specific prefix that covers an address answers.
  case longestMatchAnswers = "the longest prefix that covers an address answers"
  /// A prefix of length 0 answers for everything else.
  case defaultCoversAll = "a default covers what nothing else does"
  /// A look-up with a short key does not see longer prefixes.
  case shortKeySeesNoLongerPrefix = "a short key does not match a longer prefix"
  /// Only the exact prefix is removed, taken or replaced.
  case changesMeanExactPrefix = "changes mean the exact prefix"
  /// Two keys that differ only beyond their length are one.
  case bitsBeyondLengthDoNotCount = "bits beyond the length do not count"
  /// A length beyond the key's size is refused.
  case excessiveLengthIsInvalid = "a length beyond the key is invalid"

  /// The sentence.
  public var description: String { rawValue }

  /// Checks the rule on an empty `storage`.
  public func verify<Storage: MapStorage<ip_prefix, UInt32> & ~Copyable>(_ storage: borrowing Storage) throws {
    let verdict = Verdict(rule: rawValue)
    let wide = prefix(8, 10)
    let narrow = prefix(16, 10, 1)
    let host = prefix(128, 10, 1, 9)
    switch self {
    case .longestMatchAnswers:
      try storage.update(keys: [narrow, wide], values: [2, 1], mode: .set)
      try verdict.expect(storage.get(host) == 2, "10.1.9 did not match 10.1/16")
      try verdict.expect(storage.get(prefix(128, 10, 2)) == 1, "10.2 did not match 10/8")
      try verdict.expect(storage.get(prefix(128, 11)) == nil, "11 matched")
    case .defaultCoversAll:
      try storage.update(keys: [prefix(0), wide], values: [9, 1], mode: .set)
      try verdict.expect(storage.get(prefix(128, 11)) == 9, "11 did not match the default")
      try verdict.expect(storage.get(prefix(0)) == 9, "the default did not match itself")
    case .shortKeySeesNoLongerPrefix:
      try storage.set(narrow, 2)
      try verdict.expect(storage.get(wide) == nil, "10/8 matched 10.1/16")
      try verdict.expect(storage.get(narrow) == 2, "10.1/16 did not match itself")
    case .changesMeanExactPrefix:
      try storage.set(wide, 1)
      try verdict.expect(!storage.remove(host), "a covered host was removed")
      try verdict.expect(storage.take(narrow) == nil, "a covered prefix was taken")
      try verdict.expect(.notFound, from: "replace") { () throws(BPFError) in try storage.replace(host, 3) }
      try verdict.expect(storage.get(wide) == 1, "the covering prefix went")
    case .bitsBeyondLengthDoNotCount:
      try storage.set(prefix(8, 10, 77), 1)
      try storage.set(prefix(8, 10, 88), 2)
      try verdict.expect(storage.get(prefix(128, 10, 3)) == 2, "the second did not replace the first")
      try verdict.expect(storage.remove(prefix(8, 10, 99)), "a third did not remove it")
    case .excessiveLengthIsInvalid:
      let excessive = prefix(129, 10)
      try verdict.expect(.invalid, from: "set") { () throws(BPFError) in try storage.set(excessive, 1) }
      try verdict.expect(.invalid, from: "remove") { () throws(BPFError) in try storage.remove(excessive) }
      try verdict.expect(storage.get(excessive) == nil, "it matched")
    }
  }

  private func prefix(_ length: UInt32, _ bytes: UInt8...) -> ip_prefix {
    var prefix = ip_prefix()
    prefix.length = length
    withUnsafeMutableBytes(of: &prefix.address) { $0.copyBytes(from: bytes) }
    return prefix
  }
}
