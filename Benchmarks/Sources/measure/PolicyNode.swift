import BPF
import BPFPrograms
import BPFTesting
import CBPF
import CConnections
import MartletDataPlane
import MartletModel
import MartletNetworking

/// Which rule decides about a connection.
enum RuleMatch: String, CaseIterable, Sendable {
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

/// What first packets, and the judgement in them, have taken, in nanoseconds.
struct FirstPacketCost: Sendable {
  var packet: [Double] = []
  var judgement: [Double] = []

  static func += (sum: inout FirstPacketCost, cost: FirstPacketCost) {
    sum.packet += cost.packet
    sum.judgement += cost.judgement
  }
}

/// A node whose pods have one policy of so many rules, all for peers that are nobody's but for the first, the middle and
/// the last, each of which allows a pod of its own.
///
/// The node stays as it is while it is measured, and has maps of its own, so that nodes with few and with many rules are
/// measured under the same conditions: a change of many rules would empty the processor's caches for those alone.
final class PolicyNode: Sendable {
  static let samples = 600
  private static let warmUp = 100

  let rules: Int
  private let cluster: BenchmarkCluster
  private let maps: DatapathMaps
  /// Of an object of its own, which judges by the same tables.
  private let judge: Object
  /// The pods have one list of rules, and so one set.
  private let set: UInt32

  init(rules: Int) throws {
    let cluster = try BenchmarkCluster(.martlet(services: 10), pods: RuleMatch.allCases.count + 1)
    let pins = try cluster.topology.nodes[0].host.namespace.run {
      let (dataPlane, pins) = try cluster.takeOver()
      let policy = Self.policy(rules) { Self.client($0, of: cluster).host.ipv4 }
      if let problem = dataPlane.apply([.set(.policy(policy))]).first { throw problem }
      return pins
    }
    self.rules = rules
    self.cluster = cluster
    maps = try DatapathMaps(pinnedUnder: pins)
    judge = try Self.judge(pins)
    set = try Self.set(pins)
  }

  /// Each case has a client of its own; what is left is the server.
  private static func client(_ match: RuleMatch, of cluster: BenchmarkCluster) -> Topology.Pod {
    let pods = cluster.topology.nodes[0].pods.filter { $0.host.ipv4 != cluster.server.host.ipv4 }
    return pods[RuleMatch.allCases.firstIndex(of: match) ?? 0]
  }

  private static func policy(_ count: Int, _ client: (RuleMatch) -> IPAddress) -> Policy {
    let rules = (0..<count).map { number in
      let allowed = RuleMatch.allCases.filter { $0.index(among: count) == number }.map { IPPrefix(client($0)) }
      return PolicyRule(
        .allow, protocol: .tcp,
        source: EntityMatch(prefixes: allowed.isEmpty ? [IPPrefix(stranger(number), length: 30)] : allowed),
        destination: EntityMatch(ports: [.range(PortRange(BenchmarkCluster.podPort))]))
    }
    let name = PolicyName(.globalNetworkPolicy, NamespacedName(namespace: "", name: "measured"))
    return Policy(name: name, subject: Policy.Subject(.all), directions: [.ingress], ingress: rules)
  }

  /// Ranges without order, among which the pods' own is: a pod is as hard to find as any of them. The first 10,000 are all
  /// different, and none of them a pod's.
  private static func stranger(_ number: Int) -> IPAddress {
    IPAddress(ipv4: 0x0a00_0000 | UInt32(truncatingIfNeeded: number &* 0x9e37_79b1) & 0x00ff_fffc)
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

  private static func set(_ pins: PinFolder) throws -> UInt32 {
    let policies = try MappedArray<endpoint_policies>(pinned: "\(pins.root)/maps/endpoint_policies")
    for slot in 1..<policies.capacity {
      let set = policies.read(slot).versions.0.ingress
      if set != 0 { return set }
    }
    throw BPFError(.notFound, operation: "find", object: "the pods' policy set", hint: "no pod has one")
  }

  // MARK: - Measuring

  /// What connections of this case that nobody has opened before take, each with one packet.
  ///
  /// - Parameter round: a number that this case has not been measured with.
  func sample(_ match: RuleMatch, round: Int) throws -> FirstPacketCost {
    try cluster.topology.nodes[0].host.namespace.run {
      let error = connections_run_first(ConnectionRate.processor)
      guard error == 0 else { throw BPFError(errno: -error, operation: "give priority to", object: "measurement") }
      return FirstPacketCost(packet: try packets(match, round), judgement: try judgements(match, round))
    }
  }

  private func packet(_ match: RuleMatch, _ number: Int) -> [UInt8] {
    let client = Self.client(match, of: cluster)
    return PacketBuilder().ethernet(from: client.host.interface.mac, to: client.nodeInterface.mac)
      .ip(from: client.host.ipv4, to: cluster.server.host.ipv4)
      .tcp(from: UInt16(1_024 + number), to: BenchmarkCluster.podPort, flags: .syn).bytes
  }

  private func packets(_ match: RuleMatch, _ round: Int) throws -> [Double] {
    let interface = Self.client(match, of: cluster).nodeInterface.index
    let hook = Hook.tcx(.ingress, interface: interface)
    guard let attached = try hook.attached().programs.first else {
      throw BPFError(.invalid, operation: "find", object: "\(hook)", hint: "nothing is attached")
    }
    let program = try Program(id: attached.programID)
    let count = Self.warmUp + Self.samples
    let before = try outcomes(match)
    let timings = try program.benchmark(
      samples: Self.samples, warmUp: Self.warmUp, context: SocketBufferContext(interface: interface)
    ) { packet(match, round * count + $0) }
    let counted = try outcomes(match) - before
    guard counted == count else {
      throw BPFError(
        .invalid, operation: "measure", object: "first packets, match \(match)",
        hint: "\(counted) of \(count) were of a new connection and judged as the rules say")
    }
    return timings.nanoseconds.map(Double.init)
  }

  /// How many packets have gone as this case's should.
  private func outcomes(_ match: RuleMatch) throws -> UInt64 {
    let name = match == .none ? "drop_policy_ingress" : "flows_created"
    return try maps.readCounters().first { $0.name == name }?.packets ?? 0
  }

  /// What the server's policy takes to say something to the packet, over an empty program.
  private func judgements(_ match: RuleMatch, _ round: Int) throws -> [Double] {
    func nanoseconds(_ program: borrowing Program) throws -> [Double] {
      try program.benchmark(samples: Self.samples, warmUp: Self.warmUp, context: SocketBufferContext(mark: set)) {
        packet(match, $0)
      }.nanoseconds.map(Double.init)
    }
    let empty = Percentiles(
      try nanoseconds(try Program(type: .schedClassifier, name: "empty", instructions: [.move(.r0, 0), .exit]))
    ).p50
    return try nanoseconds(judge.program(named: "judge_packet")).map { $0 - empty }
  }
}
