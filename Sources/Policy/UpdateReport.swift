/// What has happened in the update under way.
final class UpdateReport {
  var problems: [PolicyProblem] = []
  /// Whether a verdict may be another now.
  var changesVerdicts = false
  /// Points that are judged by another set.
  var changedPoints: Set<PolicyPoint> = []
  /// Sets that are made of other policies, or of none any more.
  var changedSets: Set<UInt32> = []

  /// What has happened, and a fresh start.
  func take() -> PolicyTable.Outcome {
    defer { (problems, changesVerdicts, changedPoints, changedSets) = ([], false, [], []) }
    return PolicyTable.Outcome(
      problems: problems, changesVerdicts: changesVerdicts || !changedPoints.isEmpty, changedPoints: changedPoints,
      changedSets: changedSets)
  }
}
