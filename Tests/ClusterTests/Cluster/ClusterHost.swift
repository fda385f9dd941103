import BPFTesting
import MartletNetworking

/// Somebody in a ``Cluster`` who asks and, unless it is the client outside, answers: a pod, or a node's own processes.
final class ClusterHost: Sendable {
  /// Ports that pods and nodes answer on, by TCP and UDP alike.
  static let ports: [UInt16] = [8080, 8081, 9090, 5353]

  /// `p12` for pod 2 of node 1, `n1` for node 1, `client`: how it signs its answers.
  let name: String
  /// The name of its node, if it belongs to the cluster.
  let node: String?
  let host: Topology.Host
  /// Sockets in it are balanced as they connect.
  let cgroup: TemporaryCgroup?
  private let servers: [EchoServer]

  var namespace: NetworkNamespace { host.namespace }
  var address: DualAddress { DualAddress(host.ipv4, host.ipv6) }

  /// A host that answers, if it is on a node.
  init(_ name: String, _ host: Topology.Host, node: String? = nil, cgroup: TemporaryCgroup? = nil) throws {
    (self.name, self.host, self.node, self.cgroup) = (name, host, node, cgroup)
    servers =
      node == nil
      ? []
      : try Self.ports.flatMap { port in
        try [L4Protocol.tcp, .udp].map { try EchoServer(name, $0, port: port, in: host.namespace, cgroup: cgroup) }
      }
  }

  /// The address of `family`.
  subscript(family: AddressFamily) -> IPAddress { host.address(family) }

  /// A socket of one of the host's processes that talks to `destination`.
  func connect(
    _ number: L4Protocol = .tcp, to destination: SocketAddress, from source: SocketAddress? = nil,
    balancing: Access.Balancing = .packets, isConnected: Bool = true, timeout: Duration = .seconds(1)
  ) throws -> EchoConnection {
    try EchoConnection(
      number, to: destination, from: source, in: namespace, cgroup: balancing == .sockets ? cgroup : nil,
      isConnected: isConnected, timeout: timeout)
  }

  /// Asks `port` of a service's address of a family, each time by a new socket, and collects what comes of it.
  func ask(
    _ address: DualAddress, _ port: UInt16 = 80, _ access: Access, _ number: L4Protocol = .tcp, count: Int = 1,
    byteCount: Int = 1
  ) throws -> Answers {
    try ask(
      SocketAddress(address[access.family], port), number, count: count, balancing: access.balancing,
      byteCount: byteCount)
  }

  /// Asks `destination`, each time by a new socket, and collects what comes of it.
  ///
  /// Once an attempt has gone unanswered no others follow: they would only take time. The time limit leaves room for what
  /// the kernel sends again after a second: an opening, or the question for a neighbour.
  func ask(
    _ destination: SocketAddress, _ number: L4Protocol = .tcp, count: Int = 1, from source: SocketAddress? = nil,
    balancing: Access.Balancing = .packets, isConnected: Bool = true, byteCount: Int = 1,
    timeout: Duration = .milliseconds(1_300)
  ) throws -> Answers {
    var answers = Answers()
    for _ in 0..<count {
      let connection = try connect(
        number, to: destination, from: source, balancing: balancing, isConnected: isConnected, timeout: timeout)
      let (outcome, sender) = connection.exchangeWithSource(byteCount: byteCount)
      answers.append(outcome, from: sender)
      if outcome == .timedOut { break }
    }
    return answers
  }
}
