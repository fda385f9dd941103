import BPF

/// A storage does not do what its protocol promises.
public struct ConformanceFailure: Error, CustomStringConvertible {
  /// The rule that is broken.
  public let rule: String
  /// What was seen instead.
  public let observation: String

  /// The rule and what was seen instead.
  public var description: String { "\(rule): \(observation)" }
}

/// Collects what a rule compares, so that every rule fails the same way.
struct Verdict {
  let rule: String

  func expect(_ condition: Bool, _ observation: @autoclosure () -> String) throws(ConformanceFailure) {
    guard condition else { throw ConformanceFailure(rule: rule, observation: observation()) }
  }

  /// Expects `body` to throw an error of `kind`.
  func expect(_ kind: BPFError.Kind, from call: String, _ body: () throws(BPFError) -> Void) throws(ConformanceFailure)
  {
    do throws(BPFError) {
      try body()
    } catch {
      return try expect(error.kind == kind, "\(call) threw \(error), expected \(kind.rawValue)")
    }
    throw ConformanceFailure(rule: rule, observation: "\(call) did not throw, expected \(kind.rawValue)")
  }
}
