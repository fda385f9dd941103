import BPF
import BPFPrograms
import BPFTesting
import CBPF
import MartletModel
import MartletNetworking
import MartletPolicy
import PolicyTesting
import Testing

/// Random policies and packets, as in `PolicyTests`, judged by the datapath's program: it says what the objects say, and
/// by the same rule.
@Suite(.requiresBPF) struct PolicyOracleTests {
  /// Over 20,000 questions in all; a packet in ten or so cannot be, and is left out.
  static let seeds = 5_000..<5_010
  static let statesPerSeed = 10
  static let questionsPerState = 300

  @Test(arguments: seeds) func programSaysWhatTheObjectsSay(seed: Int) throws {
    var questions = 0
    for index in 0..<Self.statesPerSeed {
      var cluster = RandomPolicyCluster.filled(seed: seed * 100 + index, objects: 30 + index * 3)
      let judge = try KernelJudge(cluster.state)
      for _ in 0..<Self.questionsPerState {
        guard !judge.points.isEmpty else { break }
        let (point, packet) = (cluster.generator.pick(judge.points), cluster.packet())
        guard let answer = try judge.ask(packet, at: point) else { continue }
        questions += 1
        guard answer.actual == answer.expected else {
          Issue.record(
            "seed \(seed), state \(index): \(point)\n\(packet)\nexpected \(answer.expected)\ngot \(answer.actual)")
          return
        }
      }
    }
    #expect(questions >= 2_000)
  }
}

/// The datapath's tables of policy in the kernel, filled from a state.
private struct KernelJudge: ~Copyable {
  /// What was decided, by which rule.
  struct Answer: Equatable {
    var decision: PolicyDecision
    var rule: RuleName?
  }

  /// Where anything is judged.
  let points: [PolicyPoint]
  private let object: Object
  private let maps: PolicyMaps
  private let table: PolicyTable
  private let oracle: PolicyOracle

  init(_ state: ClusterState) throws {
    let opening = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc")
    try opening.select(programs: ["judge_packet"])
    try opening.resize(map: "policy_words", to: 1 << 16)
    for map in ["policy_headers", "policy_sets", "frontends", "backends", "maglev", "affinity", "unconfirmed_flows"] {
      try opening.resize(map: map, to: 1 << 9)
    }
    let object = try opening.load()
    maps = PolicyMaps(
      PolicyMaps.Unversioned(
        words: SharedArray(try MappedArray<UInt64>(object.mapDescriptor(named: "policy_words"))),
        headers: SharedArray(try MappedArray<policy_header>(object.mapDescriptor(named: "policy_headers"))),
        ruleNames: SharedMap(try HashMap<UInt32, rule_name>(name: "rule_names", capacity: 1 << 12))),
      PolicyVersions(nil),
      sets: SharedArray(try MappedArray<policy_set>(object.mapDescriptor(named: "policy_sets"))),
      ports: SharedArray(try MappedArray<policy_class>(object.mapDescriptor(named: "policy_ports"))),
      identities: SharedMap(try HashMap<ip_address, policy_class>(object.mapDescriptor(named: "identities"))),
      prefixes: SharedMap(try LPMTrieMap<ip_prefix, policy_class>(object.mapDescriptor(named: "policy_prefixes"))),
      tuples: SharedMap(try HashMap<policy_tuple, policy_class>(object.mapDescriptor(named: "policy_tuples"))))
    self.object = object
    table = PolicyTable(maps: maps, nodeName: RandomPolicyCluster.nodeName)
    _ = table.apply(ClusterState().changes(to: state))
    oracle = PolicyOracle(state)
    points = RandomPolicyCluster.points.filter { [table] in table.setID(of: $0) != 0 }
  }

  /// What the objects say, and what the program says; `nil` if no such packet can be.
  func ask(_ packet: PolicyPacket, at point: PolicyPoint) throws -> (expected: Answer, actual: Answer)? {
    guard let bytes = packet.bytes else { return nil }
    let set = table.setID(of: point)
    let wanted = oracle.verdict(at: point, on: packet)
    let run = try object.program(named: "judge_packet").testRun(bytes, context: SocketBufferContext(mark: set))
    let id = run.context.controlBlock.0
    let name = id == 0 ? nil : try PolicyEvaluator(maps).name(of: id)
    let decision: PolicyDecision =
      switch policy_action(run.returnValue) {
      case POLICY_ALLOW: .allow
      case POLICY_REJECT: .reject
      case POLICY_DENY: .deny
      default: .next
      }
    return (Answer(decision: wanted.decision, rule: wanted.rule), Answer(decision: decision, rule: name))
  }
}

extension PolicyPacket {
  /// The packet on the wire; `nil` if there is none that the datapath would not call malformed.
  fileprivate var bytes: [UInt8]? {
    let ip = PacketBuilder().ethernet().ip(from: source, to: destination, protocol: `protocol`.rawValue)
    switch `protocol` {
    case .tcp: return ip.tcp(from: sourcePort, to: destinationPort, flags: .syn).bytes
    case .udp: return ip.udp(from: sourcePort, to: destinationPort).bytes
    case .sctp:
      guard sourcePort != 0, destinationPort != 0 else { return nil }
      return ip.sctp(from: sourcePort, to: destinationPort, verificationTag: 0).payload([1, 0, 0, 4]).bytes
    case .icmp, .icmpv6:
      guard `protocol` == (family == .ipv4 ? .icmp : .icmpv6) else { return nil }
      return ip.payload([UInt8(destinationPort >> 8), UInt8(destinationPort & 0xff), 0, 0, 0, 0, 0, 0]).bytes
    default: return ip.payload(count: 24).bytes
    }
  }
}
