import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking

/// What a change of policies costs the agent.
struct PolicyChange {
  private static let endpoints = 1_000
  private static let changes = 200
  private static let ruleTarget = 10_000.0
  private static let podTarget = 1_000.0

  /// Measures and prints; returns whether the targets are met.
  static func measure() throws -> Bool {
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
