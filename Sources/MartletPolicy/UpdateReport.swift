/// What has happened in the update under way.
final class UpdateReport {
  private var problems: [PolicyProblem] = []
  private var known: Set<String> = []
  /// Whether a verdict may be another now.
  var changesVerdicts = false
  /// Points that are judged by another set.
  var changedPoints: Set<PolicyPoint> = []
  /// Sets that are made of other policies, or of none any more.
  var changedSets: Set<UInt32> = []

  /// Notes a problem, once.
  func add(_ problem: PolicyProblem) {
    var key = problem.description
    // Tried twice, it may find other numbers.
    if case .noRoom(let map, _, _) = problem.reason { key = "\(problem.subject) \(map)" }
    if known.insert(key).inserted { problems.append(problem) }
  }

  /// What has happened, and a fresh start.
  func take() -> PolicyTable.Outcome {
    defer { (problems, known, changesVerdicts, changedPoints, changedSets) = ([], [], false, [], []) }
    var outcome = PolicyTable.Outcome()
    outcome.problems = problems
    outcome.changesVerdicts = changesVerdicts || !changedPoints.isEmpty
    outcome.changedPoints = changedPoints
    outcome.changedSets = changedSets
    return outcome
  }
}
