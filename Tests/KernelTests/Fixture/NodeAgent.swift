import BPF
import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking

/// A data plane on the first node of a topology, with the pins of one node.
///
/// SAFETY: the data plane is used by one thread at a time, each time in the node's namespace, as it asks for.
final class NodeAgent: @unchecked Sendable {
  private let dataPlane: BPFDataPlane
  private let namespace: NetworkNamespace

  /// Loads or takes over, and programs `state`. Throws if anything of it could not be done.
  init(on node: Topology.Node, pins: TemporaryBPFFilesystem, state: ClusterState) throws {
    namespace = node.host.namespace
    let root = pins.path + "/martlet"
    let box = try namespace.run {
      Box(
        try BPFDataPlane(
          BPFDataPlane.Options(
            configuration: Configuration(nodeName: "node1"), pins: PinFolder(root: root), flowCapacity: 1 << 12,
            podCapacity: 16)))
    }
    dataPlane = box.dataPlane
    let problems = try namespace.run { box.dataPlane.start(with: state) }
    if let problem = problems.first { throw problem }
  }

  /// Carries the data plane from the thread that made it. SAFETY: that thread has ended.
  private final class Box: @unchecked Sendable {
    let dataPlane: BPFDataPlane
    init(_ dataPlane: BPFDataPlane) { self.dataPlane = dataPlane }
  }
}
