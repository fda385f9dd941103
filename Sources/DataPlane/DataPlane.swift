import Model
import Networking
import Services

/// What makes a node's packets go where the cluster's state says.
///
/// Two exist: ``BPFDataPlane`` programs the kernel, ``InMemoryDataPlane`` answers what would happen to a packet without
/// it. Whoever watches the cluster drives either the same way: once `start(with:)` with everything there is, then
/// `apply(_:)` with each change. Both return once packets see the new state; what could not be done is returned, and
/// everything else has been.
///
/// Calls come one at a time. They do not suspend: a data plane works in the network namespace of the thread that calls.
public protocol DataPlane: AnyObject {
  /// Programs the complete state of the cluster, in place of whatever was programmed before.
  func start(with state: ClusterState) -> [DataPlaneProblem]
  /// Programs what `changes` change.
  func apply(_ changes: [StateChange]) -> [DataPlaneProblem]
}

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

extension DataPlane {
  /// Runs `body`; what it throws is a problem of `subject`.
  func reporting(_ subject: String, _ body: () throws -> Void) -> [DataPlaneProblem] {
    do {
      try body()
      return []
    } catch {
      return [DataPlaneProblem(subject, "\(error)")]
    }
  }
}
