import MartletModel

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
