import BPF
import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking
import Synchronization
import Testing

/// What clients of a service notice while its endpoints change as fast as they can be written.
@Suite(.requiresBPF, .serialized) struct EndpointFlipTests {
  static let flips = 10_000

  /// How far the changes are: odd while one is being written. Readers that see the same even number before and after a
  /// packet know which endpoints it must have found.
  final class Progress: Sendable {
    let number = Atomic<Int>(0)
    let isOver = Atomic<Bool>(false)

    func change(_ body: () throws -> Void) rethrows {
      number.add(1, ordering: .sequentiallyConsistent)
      try body()
      number.add(1, ordering: .sequentiallyConsistent)
    }
  }

  /// Sets that have nothing in common: the first half of changes leads to one, the others to the other. Their sizes
  /// differ, so that a slice of one read at the length of the other shows.
  private struct Sets {
    let real = LoadService(name: "real", address: IPAddress(10, 96, 0, 10))
    let wide = LoadService(name: "wide", address: IPAddress(10, 96, 0, 20))
    let other = LoadService(name: "other", address: IPAddress(10, 96, 0, 30))
    let wideSets: [Set<SocketAddress>]
    private let pods: [IPAddress]

    init(_ node: LoadNode) {
      pods = node.pods.map(\.host.ipv4)
      wideSets = [
        Set((100..<103).map { SocketAddress(IPAddress(10, 65, 1, UInt8($0)), 8001) }),
        Set((200..<209).map { SocketAddress(IPAddress(10, 65, 1, UInt8($0)), 8002) }),
      ]
    }

    var services: [Resource] { [real.resource, wide.resource, other.resource] }

    /// Pods 2 and 3, or pod 4, behind `real`; and `other`, whose endpoints nobody may ever get, takes its turns at the
    /// same places of the array.
    func endpoints(_ turn: Int) -> [Resource] {
      let set = turn & 1
      let others = (0..<(1 + turn % 5)).map { IPAddress(10, 65, 9, UInt8(1 + $0)) }
      return [
        other.endpoints(others, port: 9999),
        real.endpoints(set == 0 ? [pods[1], pods[2]] : [pods[3]]),
        wide.endpoints(wideSets[set].map(\.address), port: set == 0 ? 8001 : 8002),
      ]
    }
  }

  @Test(.timeLimit(.minutes(2)))
  func `Ten thousand flips under load lead nobody astray and break no connection`() throws {
    let node = try LoadNode(pods: 4)
    let sets = Sets(node)
    let servers = try node.pods[1...].enumerated().map { index, pod in
      try EchoServer("pod-\(index + 2)", .tcp, port: LoadNode.podPort, in: pod.host.namespace)
    }
    try node.start(ClusterState(node.resources + sets.services + sets.endpoints(0)))
    let progress = Progress()
    let packets = try (0..<2).map { worker in
      try BackgroundThread { try node.namespace.run { try Self.openFlows(node, sets, progress, worker) } }
    }
    let established = try BackgroundThread { try Self.keepTalking(node, sets, progress) }
    let connecting = try BackgroundThread { try Self.keepConnecting(node, sets, progress) }

    let changes = Result { try node.namespace.run { try Self.flip(node, sets, progress) } }
    progress.isOver.store(true, ordering: .sequentiallyConsistent)
    let outcomes = try packets.map { try $0.join() }
    let exchanges = try established.join()
    let connections = try connecting.join()
    try #expect(changes.get() == [])
    withExtendedLifetime(servers) {}

    for outcome in outcomes {
      #expect(outcome.astray == [])
      #expect(outcome.stale == 0)
      #expect(outcome.seen == sets.wideSets[0].union(sets.wideSets[1]))
      #expect(outcome.certain > 0)
    }
    #expect(exchanges.failures == [])
    #expect(connections.failures == [])
    #expect(Set(connections.servers.keys) == ["pod-2", "pod-3", "pod-4"])
    print(
      "\(Self.flips) flips: \(outcomes.map(\.count).reduce(0, +)) first packets "
        + "(\(outcomes.map(\.certain).reduce(0, +)) between two changes), \(exchanges.count) exchanges on old "
        + "connections, \(connections.servers.values.reduce(0, +)) new connections")
  }

  /// Returns what the data plane complained about.
  private static func flip(_ node: LoadNode, _ sets: Sets, _ progress: Progress) throws -> [String] {
    let dataPlane = try node.makeDataPlane()
    var problems = dataPlane.start(with: ClusterState(node.resources + sets.services + sets.endpoints(0)))
    for turn in 1...flips {
      progress.change { problems += dataPlane.apply(sets.endpoints(turn).map(StateChange.set)) }
      problems += dataPlane.reclaim()
    }
    return problems.map(\.description)
  }

  // MARK: - Load

  private struct PacketOutcome: Sendable {
    var count = 0
    /// Packets whose endpoints no change was written meanwhile of.
    var certain = 0
    var seen: Set<SocketAddress> = []
    /// What is in neither set, or was not forwarded.
    var astray: [String] = []
    /// Packets between two changes that found the endpoints of before.
    var stale = 0
  }

  private static func openFlows(
    _ node: LoadNode, _ sets: Sets, _ progress: Progress, _ worker: Int
  ) throws -> PacketOutcome {
    let sender = try PodSender(node.pods[0], to: sets.wide.address)
    let ports = UInt16(10_000 + 20_000 * worker)..<UInt16(30_000 + 20_000 * worker)
    var outcome = PacketOutcome()
    while !progress.isOver.load(ordering: .sequentiallyConsistent) {
      let port = ports.lowerBound + UInt16(outcome.count % ports.count)
      let before = progress.number.load(ordering: .sequentiallyConsistent)
      let result = try sender.send(from: port, to: LoadNode.servicePort, .syn)
      let after = progress.number.load(ordering: .sequentiallyConsistent)
      // The reset makes the next packet on this port begin a new flow.
      try sender.send(from: port, to: LoadNode.servicePort, .rst)
      outcome.count += 1
      let set = sets.wideSets.firstIndex { $0.contains(result.destination) }
      if let set, result.isRedirected {
        outcome.seen.insert(result.destination)
        guard before == after, before.isMultiple(of: 2) else { continue }
        outcome.certain += 1
        if set != before / 2 & 1 { outcome.stale += 1 }
      } else if outcome.astray.count < 10 {
        outcome.astray.append("\(result.destination), redirected: \(result.isRedirected), change \(before)")
      }
    }
    return outcome
  }

  private struct Talk: Sendable {
    var count = 0
    var failures: [String] = []
    var servers: [String: Int] = [:]
  }

  /// On connections that were there before the first flip, to pods of both sets.
  private static func keepTalking(_ node: LoadNode, _ sets: Sets, _ progress: Progress) throws -> Talk {
    let connections = try (0..<8).map { _ in
      try EchoConnection(.tcp, to: sets.real.frontend, in: node.pods[0].host.namespace, timeout: .seconds(3))
    }
    var talk = Talk()
    var partners: [String?] = connections.map { $0.exchange().reply?.server }
    while !progress.isOver.load(ordering: .sequentiallyConsistent) {
      for (index, connection) in connections.enumerated() {
        let outcome = connection.exchange()
        talk.count += 1
        if outcome.reply?.server == nil || outcome.reply?.server != partners[index], talk.failures.count < 10 {
          talk.failures.append("connection \(index): \(outcome)")
          partners[index] = outcome.reply?.server
        }
      }
    }
    return talk
  }

  private static func keepConnecting(_ node: LoadNode, _ sets: Sets, _ progress: Progress) throws -> Talk {
    var talk = Talk()
    while !progress.isOver.load(ordering: .sequentiallyConsistent) {
      let outcome = try EchoConnection(
        .tcp, to: sets.real.frontend, in: node.pods[0].host.namespace, timeout: .seconds(3)
      ).exchange()
      if let reply = outcome.reply {
        talk.servers[reply.server, default: 0] += 1
      } else if talk.failures.count < 10 {
        talk.failures.append("\(outcome)")
      }
    }
    return talk
  }
}
