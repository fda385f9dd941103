import BPFTesting
import MartletDataPlane
import MartletModel

/// A node's data plane, and the thread and namespace it works in.
///
/// SAFETY: the data plane is only touched by ``Cluster``'s calls, which come one at a time, each on a thread that ends
/// before the next begins.
final class ClusterNode: @unchecked Sendable {
  let name: String
  /// The node's own processes.
  let host: ClusterHost
  let pods: [ClusterHost]
  /// Pins stay here while no agent runs.
  let bpffs: TemporaryBPFFilesystem
  private var options: BPFDataPlane.Options
  private var dataPlane: BPFDataPlane?

  init(_ node: Topology.Node, number: Int, options change: (inout BPFDataPlane.Options) -> Void) throws {
    name = "n\(number)"
    let cgroup = try TemporaryCgroup()
    bpffs = try TemporaryBPFFilesystem()
    host = try ClusterHost(name, node.host, node: name, cgroup: cgroup)
    pods = try node.pods.enumerated().map { [name] index, pod in
      try ClusterHost("p\(number)\(index + 1)", pod.host, node: name, cgroup: cgroup)
    }
    options = BPFDataPlane.Options(
      configuration: Configuration(nodeName: name), pins: PinFolder(root: bpffs.path + "/martlet"),
      flowCapacity: 1 << 13, podCapacity: 15)
    options.cgroup = cgroup.path
    change(&options)
  }

  deinit {
    // Takes the tunnel device and every attachment along, in the node's namespace.
    dataPlane = nil
    try? host.namespace.run { _ = try BPFDataPlane.clean(self.options.pins) }
  }

  /// Starts the agent, which takes over what a former one has left.
  func start(with state: ClusterState) throws -> [DataPlaneProblem] {
    try host.namespace.run {
      let dataPlane = try BPFDataPlane(self.options)
      self.dataPlane = dataPlane
      return dataPlane.start(with: state)
    }
  }

  /// The agent ends, as abruptly as it likes.
  func stop() { dataPlane = nil }

  /// The agent, if it runs, does what `body` says.
  func run<Success: Sendable>(_ body: @Sendable (BPFDataPlane) throws -> Success) throws -> Success? {
    try host.namespace.run { try self.dataPlane.map(body) }
  }
}
