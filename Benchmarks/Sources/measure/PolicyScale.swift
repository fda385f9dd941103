import BPF
import BPFPrograms
import BPFTesting
import CBPF
import DataPlane
import Glibc
import Model
import Networking

/// What policies cost the first packet of a connection, and what changes of them cost the agent, by how many rules there
/// are.
struct PolicyScale {
  private static let sizes = [1, 10, 100, 1_000, 10_000]
  private static let rounds = 7
  private static let samples = 600
  private static let endpoints = 1_000
  private static let changes = 200
  private static let packetTarget = 1.2
  private static let stageTarget = 2.0
  private static let ruleTarget = 10_000.0
  private static let podTarget = 1_000.0

  /// Where the rule is that matches the measured connection.
  private enum Match: String, CaseIterable {
    case first
    case middle
    case last
    case none

    func index(among count: Int) -> Int? {
      switch self {
      case .first: 0
      case .middle: count / 2
      case .last: count - 1
      case .none: nil
      }
    }
  }

  /// Measures and prints; returns whether the targets are met.
  static func measure() throws -> Bool {
    let isFlat = try measurePackets()
    print()
    return try measureChanges() && isFlat
  }

  // MARK: - Packets

  private static func measurePackets() throws -> Bool {
    print(
      "The first packet of a connection from pod to pod, and the judgement in it; \(rounds) rounds of \(samples), in turns\n"
    )
    let cluster = try BenchmarkCluster(.martlet(services: 10))
    return try cluster.topology.nodes[0].host.namespace.run {
      let (dataPlane, pins) = try cluster.takeOver()
      let packets = try FirstPacket(cluster, pins)
      var costs: [Measured: (packet: [Double], stage: [Double])] = [:]
      for _ in 0..<rounds {
        for size in sizes {
          for match in Match.allCases {
            try set(policy(size, allowing: cluster.client.host.ipv4, at: match.index(among: size)), dataPlane)
            // What has been replaced rests for a second, and large sets would fill the table meanwhile.
            if size >= 1_000 { usleep(300_000) }
            _ = dataPlane.reclaim()
            let measured = Measured(size: size, match: match)
            costs[measured, default: ([], [])].packet += try packets.sample(samples)
            costs[measured, default: ([], [])].stage += try packets.sampleJudgement(samples)
          }
        }
      }
      return report(costs.mapValues { (Percentiles($0.packet).p50, Percentiles($0.stage).p50) })
    }
  }

  private struct Measured: Hashable {
    let size: Int
    let match: Match
  }

  private static func report(_ costs: [Measured: (packet: Double, stage: Double)]) -> Bool {
    func cost(_ size: Int, _ match: Match) -> (packet: Double, stage: Double) {
      costs[Measured(size: size, match: match)] ?? (0, 0)
    }
    print(
      "| Rules | " + Match.allCases.map { "match \($0.rawValue): packet | judgement" }.joined(separator: " | ") + " |")
    print("|--:" + String(repeating: "|--:|--:", count: Match.allCases.count) + "|")
    for size in sizes {
      let cells = Match.allCases.map { cost(size, $0) }.map { "\(Int($0.packet)) ns | \(Int($0.stage)) ns" }
      print("| \(size) | " + cells.joined(separator: " | ") + " |")
    }
    print("\n| 10,000 rules : 10 rules | | Target |\n|---|--:|--:|")
    var isMet = true
    for match in Match.allCases {
      let (many, few) = (cost(10_000, match), cost(10, match))
      isMet = verdict("Match \(match.rawValue), the whole packet", many.packet / few.packet, packetTarget) && isMet
      isMet = verdict("Match \(match.rawValue), the judgement", many.stage / few.stage, stageTarget) && isMet
    }
    return isMet
  }

  private static func verdict(_ name: String, _ value: Double, _ target: Double) -> Bool {
    print(
      "| \(name) | \(Double(Int(value * 100)) / 100) | \u{2264} \(target)\(value <= target ? "" : ", missed") |")
    return value <= target
  }

  private static let name = PolicyName(.globalNetworkPolicy, NamespacedName(namespace: "", name: "measured"))

  /// Rules for peers that are nobody's, but for the one at `index`, which allows `client`.
  private static func policy(_ count: Int, allowing client: IPAddress, at index: Int?) -> Policy {
    let rules = (0..<count).map { number in
      let peer = number == index ? IPPrefix(client) : IPPrefix(peer(number), length: 30)
      return PolicyRule(
        .allow, protocol: .tcp, source: EntityMatch(prefixes: [peer]),
        destination: EntityMatch(ports: [.range(PortRange(BenchmarkCluster.podPort))]))
    }
    return Policy(name: name, subject: Policy.Subject(.all), directions: [.ingress], ingress: rules)
  }

  /// Ranges without order or neighbours.
  private static func peer(_ number: Int) -> IPAddress {
    IPAddress(ipv4: 0x6400_0000 | UInt32(truncatingIfNeeded: number &* 0x9e37_79b1) & 0x00ff_fffc)
  }

  private static func set(_ policy: Policy?, _ dataPlane: BPFDataPlane) throws {
    let problems = dataPlane.apply([policy.map { .set(.policy($0)) } ?? .removed(.policy(name))])
    if let problem = problems.first { throw problem }
  }

  // MARK: - Changes

  private static func measureChanges() throws -> Bool {
    print("Changes among 10,000 rules and \(endpoints) endpoints; CPU time of all threads\n")
    print("| | p50 | p99 | Target, p99 |\n|---|--:|--:|--:|")
    let pins = try TemporaryBPFFilesystem()
    return try NetworkNamespace().run {
      let dataPlane = try BPFDataPlane(
        BPFDataPlane.Options(
          configuration: Configuration(nodeName: ScaleCluster.node.name), pins: PinFolder(root: "\(pins.path)/martlet"))
      )
      let crowd = PolicyCrowd(endpoints: endpoints)
      var problems: [DataPlaneProblem] = []
      let start = Cost.of { problems = dataPlane.start(with: crowd.state) }
      if let problem = problems.first { throw problem }
      let ruleChanges = try cost(of: dataPlane) { [.set(.policy(crowd.editedPolicy($0)))] }
      let podChanges = try cost(of: dataPlane) { [.set(.workload(crowd.editedPod($0)))] }
      let isFast = row("A rule changes", ruleChanges, ruleTarget)
      let isQuick = row("A pod changes its labels", podChanges, podTarget)
      print("| All of it, from nothing | \(Int(start.processorSeconds * 1e6)) µs | | |")
      return isFast && isQuick
    }
  }

  private static func cost(of dataPlane: BPFDataPlane, _ change: (Int) -> [StateChange]) throws -> Percentiles {
    var costs: [Double] = []
    for round in 0..<changes {
      let change = change(round)
      var problems: [DataPlaneProblem] = []
      costs.append(Cost.of { problems = dataPlane.apply(change) }.processorSeconds * 1e6)
      if let problem = problems.first { throw problem }
      if round.isMultiple(of: 50) { _ = dataPlane.reclaim() }
    }
    return Percentiles(costs)
  }

  private static func row(_ name: String, _ cost: Percentiles, _ target: Double) -> Bool {
    let isMet = cost.p99 <= target
    print(
      "| \(name) | \(Int(cost.p50)) µs | \(Int(cost.p99)) µs | \u{2264} \(Int(target)) µs\(isMet ? "" : ", missed") |")
    return isMet
  }
}

/// First packets of connections between the pods of a cluster, each of a connection of its own.
private struct FirstPacket: ~Copyable {
  let program: Program
  let context: SocketBufferContext
  /// Of an object of its own, which judges by the same tables.
  let judge: Object
  let policies: MappedArray<endpoint_policies>
  let packet: (Int) -> [UInt8]

  init(_ cluster: BenchmarkCluster, _ pins: PinFolder) throws {
    let pod = cluster.client
    let hook = Hook.tcx(.ingress, interface: pod.nodeInterface.index)
    guard let attached = try hook.attached().programs.first else {
      throw BPFError(.invalid, operation: "find", object: "\(hook)", hint: "nothing is attached")
    }
    let program = try Program(id: attached.programID)
    let judge = try Self.judge(pins)
    policies = try MappedArray(pinned: "\(pins.root)/maps/endpoint_policies")
    self.program = program
    self.judge = judge
    context = SocketBufferContext(interface: pod.nodeInterface.index)
    let server = cluster.server.host.ipv4
    packet = { number in
      PacketBuilder().ethernet(from: pod.host.interface.mac, to: pod.nodeInterface.mac)
        .ip(from: pod.host.ipv4, to: server)
        .tcp(from: UInt16(1_024 + number % 60_000), to: BenchmarkCluster.podPort, flags: .syn).bytes
    }
  }

  private static func judge(_ pins: PinFolder) throws -> Object {
    let opening = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc")
    try opening.select(programs: ["judge_packet"])
    for map in [
      "policy_version", "policy_words", "policy_headers", "policy_sets", "policy_ports", "identities",
      "policy_prefixes", "policy_tuples",
    ] {
      try opening.pin(map: map, at: "\(pins.root)/maps/\(map)")
    }
    return try opening.load()
  }

  /// What the server's policies take to say something to the packet, over an empty program.
  borrowing func sampleJudgement(_ samples: Int) throws -> [Double] {
    // The pods have one list of rules, and so one set.
    var set: UInt32 = 0
    for slot in 1..<8 where set == 0 { set = policies.read(slot).version.0.ingress }
    let idle = try Program(type: .schedClassifier, name: "empty", instructions: [.move(.r0, 0), .exit])
    let context = SocketBufferContext(mark: set)
    let empty = Percentiles(
      try idle.benchmark(samples: samples, context: context, fresh: packet).nanoseconds.map(Double.init)
    ).p50
    return try judge.program(named: "judge_packet").benchmark(samples: samples, context: context, fresh: packet)
      .nanoseconds.map { Double($0) - empty }
  }

  borrowing func sample(_ samples: Int) throws -> [Double] {
    try program.benchmark(samples: samples, context: context, fresh: packet).nanoseconds.map(Double.init)
  }
}

/// A cluster with a policy of 10,000 rules, and pods whose labels they ask for.
private struct PolicyCrowd {
  let endpoints: Int
  private static let policies = 100
  private static let rules = 100

  var state: ClusterState {
    ClusterState(
      [.node(ScaleCluster.node)] + (0..<endpoints).map { .workload(pod($0)) }
        + (0..<Self.policies).map { .policy(policy($0)) })
  }

  /// A pod of this node or, mostly, of another.
  private func pod(_ index: Int, labels: [String: String] = [:]) -> Workload {
    Workload(
      name: NamespacedName(namespace: "default", name: "pod-\(index)"),
      node: index % 10 == 0 ? ScaleCluster.node.name : "node-2",
      addresses: [IPAddress(ipv4: 0x0a41_0000 + UInt32(index))],
      labels: ["app": "app-\(index % 100)"].merging(labels) { $1 })
  }

  private func policy(_ index: Int, edited: Int? = nil) -> Policy {
    let rules = (0..<Self.rules).map { number in
      let app = "app-\((index * 7 + number) % 100)"
      return PolicyRule(
        .allow, protocol: .tcp, source: EntityMatch(selector: .equals("app", app)),
        destination: EntityMatch(ports: [.range(PortRange(UInt16(number == edited ? 9_000 : 8_000 + number)))]))
    }
    return Policy(
      name: PolicyName(.globalNetworkPolicy, NamespacedName(namespace: "", name: "policy-\(index)")),
      order: Double(index), subject: Policy.Subject(.all), directions: [.ingress], ingress: rules)
  }

  /// One rule of one policy asks for another port, or for its own again.
  func editedPolicy(_ round: Int) -> Policy {
    policy(round / 2 * 37 % Self.policies, edited: round.isMultiple(of: 2) ? round % Self.rules : nil)
  }

  /// One pod has a label more, or less again.
  func editedPod(_ round: Int) -> Workload {
    pod(round / 2 * 37 % endpoints, labels: round.isMultiple(of: 2) ? ["role": "edited"] : [:])
  }
}
