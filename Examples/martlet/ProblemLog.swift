import Logging
import MartletDataPlane
import MartletKubernetes

/// Says of each problem when it is new, and not again while it stays: what is tried every second would fill the log.
struct ProblemLog {
  private static let silence = Duration.seconds(60)

  private let logger: Logger
  private var manifest: Set<ManifestProblem> = []
  private var heard: [DataPlaneProblem: ContinuousClock.Instant] = [:]

  init(_ logger: Logger) { self.logger = logger }

  /// `problems` are all that there are now.
  mutating func report(_ problems: [ManifestProblem]) {
    for problem in problems where !manifest.contains(problem) {
      logger.log(level: problem.severity == .error ? .error : .warning, "\(problem)")
    }
    manifest = Set(problems)
  }

  /// `problems` are those of one call; what is said again within a minute has stayed.
  mutating func report(_ problems: [DataPlaneProblem]) {
    let now = ContinuousClock.now
    heard = heard.filter { now - $0.value < Self.silence }
    var new: [String: [DataPlaneProblem]] = [:]
    for problem in problems where heard.updateValue(now, forKey: problem) == nil {
      new[problem.message, default: []].append(problem)
    }
    for problem in problems {
      guard let alike = new.removeValue(forKey: problem.message) else { continue }
      for problem in alike.prefix(Self.most) { logger.warning("\(problem)") }
      if alike.count > Self.most {
        logger.warning("likewise \(alike.count - Self.most) others, among them \(alike[Self.most].subject)")
      }
    }
  }

  /// As many of what is said alike of different objects are named.
  private static let most = 10
}
