/// What has happened in the update under way.
final class UpdateReport {
  var problems: [PolicyProblem] = []
  /// Whether a verdict may be another now.
  var changesVerdicts = false
  /// Points that are judged by another set.
  var changedPoints: Set<PolicyPoint> = []

  /// What has happened, and a fresh start.
  func take() -> PolicyTable.Outcome {
    defer { (problems, changesVerdicts, changedPoints) = ([], false, []) }
    return PolicyTable.Outcome(
      problems: problems, changesVerdicts: changesVerdicts || !changedPoints.isEmpty, changedPoints: changedPoints)
  }
}
