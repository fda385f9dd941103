import BPFTesting
import MartletNetworking
import Testing

/// A pod that is plugged in, with a route to an address of the node's range, before anybody has said that it is one.
@Suite(.requiresBPF, .cluster, .serialized) struct UnknownPodTests {
  private let cluster: Cluster
  private let plug: Plug

  init() throws {
    cluster = try Cluster.current
    try cluster.apply()
    plug = try Plug(cluster)
  }

  /// The pod, which goes with this object.
  private final class Plug: Sendable {
    let pod: ClusterHost
    private let cluster: Cluster

    init(_ cluster: Cluster) throws {
      let plugged = try Topology.plugPod(
        "late", on: cluster.node(1).namespace, IPAddress(10, 65, 1, 99), IPAddress(high: 0xfd65 << 48 | 1, low: 0x99))
      pod = try ClusterHost("late", plugged.host, node: "n1")
      self.cluster = cluster
      try tell()
    }

    private func tell() throws { #expect(try cluster.nodes[0].run { $0.networkChanged() }?.isEmpty == true) }

    deinit {
      try? cluster.node(1).namespace.ip("link del late")
      try? tell()
    }
  }

  private var pod: ClusterHost { plug.pod }

  private func ask(
    _ client: ClusterHost, _ server: ClusterHost, _ family: AddressFamily, _ number: L4Protocol
  ) throws -> Answers.Outcome {
    try client.ask(SocketAddress(server[family], 8080), number).outcome
  }

  private func expectDropped(_ client: ClusterHost, _ server: ClusterHost, _ family: AddressFamily) throws {
    for number in [L4Protocol.tcp, .udp] {
      let answers = try client.ask(SocketAddress(server[family], 8080), number, timeout: .milliseconds(300))
      #expect(answers.outcome == .dropped, "\(number) from \(client.name) to \(server.name)")
    }
  }

  @Test(arguments: AddressFamily.allCases)
  func `It reaches nobody, its own host least, and nobody reaches it`(_ family: AddressFamily) throws {
    for server in [cluster.node(1), cluster.node(2), cluster.pod(1, 1), cluster.pod(2, 1)] {
      try expectDropped(pod, server, family)
    }
    for client in [cluster.node(1), cluster.pod(1, 1), cluster.client] { try expectDropped(client, pod, family) }
  }

  @Test(arguments: AddressFamily.allCases)
  func `Once there is an object it is a pod like others, until that is gone`(_ family: AddressFamily) throws {
    try expectDropped(pod, cluster.node(1), family)
    try cluster.apply([cluster.podObject(pod)])
    for number in [L4Protocol.tcp, .udp] {
      for server in [cluster.node(1), cluster.node(2), cluster.pod(1, 1), cluster.pod(2, 1)] {
        #expect(try ask(pod, server, family, number) == .answered(by: [server.name]), "\(number) to \(server.name)")
      }
      for client in [cluster.node(1), cluster.pod(1, 1), cluster.client] {
        #expect(try ask(client, pod, family, number) == .answered(by: ["late"]), "\(number) from \(client.name)")
      }
    }
    try cluster.apply()
    try expectDropped(pod, cluster.node(1), family)
    try expectDropped(cluster.node(1), pod, family)
  }
}
