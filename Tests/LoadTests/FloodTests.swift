import BPF
import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking
import Testing

/// What a flood of openings, or a full table, does to connections that mean it.
@Suite(.requiresBPF, .serialized) struct FloodTests {
  private let web = LoadService(name: "web", address: IPAddress(10, 96, 0, 10))

  private func start(_ node: LoadNode) throws -> EchoServer {
    let pod = node.pods[1].host
    let server = try EchoServer("web", .tcp, port: LoadNode.podPort, in: pod.namespace)
    try node.start(ClusterState(node.resources + [web.resource, web.endpoints([pod.ipv4])]))
    return server
  }

  private func connect(_ node: LoadNode) throws -> EchoConnection {
    try EchoConnection(.tcp, to: web.frontend, in: node.pods[0].host.namespace, timeout: .seconds(3))
  }

  private func confirmedKeys(_ node: LoadNode) throws -> Set<[UInt16]> {
    var keys: Set<[UInt16]> = []
    try node.maps().flows.forEach { key, _ throws(BPFError) in
      keys.insert([key.source_port.bigEndian, key.destination_port.bigEndian])
    }
    return keys
  }

  /// More than three times what the table of unconfirmed flows can hold.
  @Test(.timeLimit(.minutes(2))) func `A SYN flood evicts no established flow and stops no client`() throws {
    let node = try LoadNode(pods: 3)
    let server = try start(node)
    let connections = try (0..<100).map { _ in try connect(node) }
    for connection in connections { #expect(connection.exchange().reply?.server == "web") }
    let before = try confirmedKeys(node)
    #expect(before.count == 2 * connections.count)

    let flood = try BackgroundThread { try node.namespace.run { try Self.flood(node, self.web, count: 200_000) } }
    var newcomers = 0
    for _ in 0..<100 {
      #expect(try connect(node).exchange().reply?.server == "web", "newcomer \(newcomers)")
      newcomers += 1
    }
    let dropped = try flood.join()

    #expect(dropped == 0)
    #expect(try before.isSubset(of: confirmedKeys(node)))
    for connection in connections { #expect(connection.exchange().reply?.server == "web") }
    withExtendedLifetime(server) {}
  }

  /// From a pod of its own; returns how many were not forwarded.
  private static func flood(_ node: LoadNode, _ service: LoadService, count: Int) throws -> Int {
    let sender = try PodSender(node.pods[2], to: service.address)
    var dropped = 0
    for number in 0..<count {
      let port = UInt16(1_024 + number % 64_000)
      if try !sender.send(from: port, to: LoadNode.servicePort, .syn).isRedirected { dropped += 1 }
    }
    return dropped
  }

  @Test func `A full table leaves new connections working, unconfirmed and counted`() throws {
    let node = try LoadNode(pods: 2, flowCapacity: 16)
    let server = try start(node)
    let connections = try (0..<48).map { _ in try connect(node) }
    for _ in 0..<3 {
      for (index, connection) in connections.enumerated() {
        #expect(connection.exchange().reply?.server == "web", "connection \(index)")
      }
    }
    let counters = try node.counters()
    #expect(counters["flows_confirmed"] == 16)
    #expect(counters["flows_unconfirmable", default: 0] >= 32)
    #expect(counters["drop_conntrack_full"] == 0)
    #expect(try confirmedKeys(node).count == 32)
    withExtendedLifetime(server) {}
  }
}
