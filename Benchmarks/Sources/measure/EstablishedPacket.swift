import BPF
import BPFTesting
import CConnections
import MartletNetworking

/// What a packet of an established connection through a service costs `from_pod`, over a program that does nothing.
struct EstablishedPacket {
  static let rounds = 15
  static let samples = 2000
  static let targetNanoseconds = 120

  /// Measures and prints; returns whether the target is met.
  static func measure() throws -> Bool {
    print("An established packet through a service, from_pod; \(rounds) rounds of \(samples) fresh packets, in turns\n")
    print("| | Empty program p50 | p99 | from_pod p50 | p99 | Over the empty program p50 | p99 | Target |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    return try AddressFamily.allCases.map(measure).allSatisfy { $0 }
  }

  private static func measure(_ family: AddressFamily) throws -> Bool {
    let cluster = try BenchmarkCluster(.martlet(services: 10))
    return try withConnection(family, in: cluster) { source, service in
      let (empty, ours) = try cluster.topology.nodes[0].host.namespace.run {
        try sample(cluster.client, from: source, to: service)
      }
      return report(family, empty: empty, ours: ours)
    }
  }

  /// Runs `body` while a client of `cluster` has a connection, from the first address to the second.
  static func withConnection<Success>(
    _ family: AddressFamily, in cluster: BenchmarkCluster, _ body: (SocketAddress, SocketAddress) throws -> Success
  ) throws -> Success {
    let service = SocketAddress(BenchmarkCluster.clusterIP(family, 5), BenchmarkCluster.servicePort)
    let server = try EchoServer("pod", .tcp, port: BenchmarkCluster.podPort, in: cluster.server.host.namespace)
    let connection = try EchoConnection(.tcp, to: service, in: cluster.client.host.namespace)
    // A real connection: packets of its own addresses and ports are what the flow's entry is for.
    for _ in 0..<3 {
      guard connection.exchange().reply != nil else {
        throw BPFError(errno: 110, operation: "connect through", object: "service \(service)")
      }
    }
    defer { withExtendedLifetime((server, connection)) {} }
    guard let source = connection.localAddress else { preconditionFailure("a connected socket has an address") }
    return try body(source, service)
  }

  /// What packets of a connection cost at the hook of `pod`, beside an empty program. To be called in the node's
  /// namespace.
  static func sample(
    _ pod: Topology.Pod, from source: SocketAddress, to service: SocketAddress, rounds: Int = Self.rounds
  ) throws -> (empty: Percentiles, ours: Percentiles) {
    let hook = Hook.tcx(.ingress, interface: pod.nodeInterface.index)
    guard let attached = try hook.attached().programs.first else {
      throw BPFError(.invalid, operation: "find", object: "\(hook)", hint: "nothing is attached")
    }
    let program = try Program(id: attached.programID)
    let idle = try Program(type: .schedClassifier, name: "empty", instructions: [.move(.r0, 0), .exit])
    let context = SocketBufferContext(interface: pod.nodeInterface.index)
    func packet(_ number: Int) -> [UInt8] {
      PacketBuilder().ethernet(from: pod.host.interface.mac, to: pod.nodeInterface.mac)
        .ip(from: source.address, to: service.address)
        .tcp(from: source.port, to: service.port, flags: .ack, sequence: UInt32(number)).payload(count: 64).bytes
    }
    let first = try program.testRun(packet(0), context: context)
    guard first.returnValue == 7, first.packet != packet(0) else {
      throw BPFError(
        .invalid, operation: "measure", object: "from_pod",
        hint: "returned \(first.returnValue) for a packet that it should rewrite and redirect")
    }
    let error = connections_run_first(ConnectionRate.processor)
    guard error == 0 else { throw BPFError(errno: -error, operation: "give priority to", object: "measurement") }
    var (empty, ours): ([Double], [Double]) = ([], [])
    for _ in 0..<rounds {
      empty += try idle.benchmark(samples: samples, context: context, fresh: packet).nanoseconds.map(Double.init)
      ours += try program.benchmark(samples: samples, context: context, fresh: packet).nanoseconds.map(Double.init)
    }
    return (Percentiles(empty), Percentiles(ours))
  }

  private static func report(_ family: AddressFamily, empty: Percentiles, ours: Percentiles) -> Bool {
    let difference = Int(ours.p50 - empty.p50)
    let isMet = difference <= targetNanoseconds
    print(
      "| \(family) | \(Int(empty.p50)) ns | \(Int(empty.p99)) ns | \(Int(ours.p50)) ns | \(Int(ours.p99)) ns "
        + "| \(difference) ns | \(Int(ours.p99 - empty.p99)) ns "
        + "| \u{2264} \(targetNanoseconds) ns\(isMet ? "" : ", missed") |")
    return isMet
  }
}
