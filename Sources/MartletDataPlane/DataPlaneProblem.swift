import MartletServices

/// Something that a data plane was asked for and could not do. The version before stays in force.
public struct DataPlaneProblem: Error, Hashable, Sendable, CustomStringConvertible {
  /// The object concerned: "service default/web", "pod default/web-1", "interface eth0".
  public var subject: String
  /// What is wrong, and the remedy.
  public var message: String

  /// A problem of `subject`.
  public init(_ subject: String, _ message: String) {
    self.subject = subject
    self.message = message
  }

  /// Subject and message.
  public var description: String { "\(subject): \(message)" }
}

extension DataPlaneProblem {
  init(_ problem: ServiceProblem) { self.init(problem.subject, "\(problem.reason)") }
}

/// Runs `body`; what it throws is a problem of `subject`.
func reporting(_ subject: String, _ body: () throws -> Void) -> [DataPlaneProblem] {
  do {
    try body()
    return []
  } catch {
    return [DataPlaneProblem(subject, "\(error)")]
  }
}
