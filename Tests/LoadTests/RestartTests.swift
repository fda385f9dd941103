import BPF
import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking
import Synchronization
import Testing

/// What traffic notices of an agent that is replaced.
@Suite(.requiresBPF, .serialized) struct RestartTests {
  static let restarts = 5

  private static let udp = LoadService(name: "udp", address: IPAddress(10, 96, 0, 10), protocol: .udp)
  private static let tcp = LoadService(name: "tcp", address: IPAddress(10, 96, 0, 11))

  private final class Flag: Sendable {
    let isSet = Atomic<Bool>(false)
  }

  @Test(.timeLimit(.minutes(2))) func `A restart replaces the programs and loses no packet`() throws {
    let node = try LoadNode(pods: 2)
    let pod = node.pods[1].host
    let servers = try [L4Protocol.udp, .tcp].map {
      try EchoServer("web", $0, port: LoadNode.podPort, in: pod.namespace)
    }
    let services = [Self.udp, Self.tcp].flatMap { [$0.resource, $0.endpoints([pod.ipv4])] }
    let state = ClusterState(node.resources + services)
    try node.start(state)
    let before = try attachments(node)
    let flag = Flag()
    let talks = try [Self.udp, Self.udp, Self.tcp].map { service in
      try BackgroundThread { try Self.talk(node, service, until: flag) }
    }

    let problems = Result { try (0..<Self.restarts).flatMap { _ in try Self.restart(node, state) } }
    flag.isSet.store(true, ordering: .sequentiallyConsistent)
    let outcomes = try talks.map { try $0.join() }

    try #expect(problems.get() == [])
    let after = try attachments(node)
    #expect(Set(before.map(\.programID)).isDisjoint(with: after.map(\.programID)), "the programs are the same")
    #expect(before.map(\.linkID) == after.map(\.linkID), "a link was opened anew")
    for outcome in outcomes {
      #expect(outcome.lost == [])
      #expect(outcome.count > 100)
    }
    print("\(Self.restarts) restarts: \(outcomes.map(\.count)) exchanges, none lost")
    withExtendedLifetime(servers) {}
  }

  /// An agent that starts, programs the state anew, works for a while and ends.
  private static func restart(_ node: LoadNode, _ state: ClusterState) throws -> [String] {
    try node.namespace.run {
      let dataPlane = try node.makeDataPlane()
      let problems = dataPlane.start(with: state) + dataPlane.networkChanged() + dataPlane.reclaim()
      return problems.map(\.description)
    }
  }

  /// What is attached to the pods' interfaces, in both directions.
  private func attachments(_ node: LoadNode) throws -> [AttachedPrograms.Entry] {
    let interfaces = node.pods.map(\.nodeInterface.index)
    return try node.namespace.run {
      try interfaces.flatMap { interface in
        try [TrafficDirection.ingress, .egress].flatMap { direction in
          try Hook.tcx(direction, interface: interface).attached().programs
        }
      }
    }
  }

  private struct Outcome: Sendable {
    var count = 0
    /// Which exchanges failed, and how.
    var lost: [String] = []
  }

  /// Requests on one socket, each of another length, so that an answer tells which request it is to.
  private static func talk(_ node: LoadNode, _ service: LoadService, until flag: Flag) throws -> Outcome {
    let connection = try EchoConnection(
      service.protocol, to: service.frontend, in: node.pods[0].host.namespace, timeout: .seconds(3))
    var outcome = Outcome()
    while !flag.isSet.load(ordering: .sequentiallyConsistent) {
      let byteCount = 1 + outcome.count % 1_200
      let result = connection.exchange(byteCount: byteCount)
      if result.reply?.byteCount != byteCount, outcome.lost.count < 10 {
        outcome.lost.append("\(service.name) \(outcome.count): \(result)")
      }
      outcome.count += 1
    }
    return outcome
  }
}
