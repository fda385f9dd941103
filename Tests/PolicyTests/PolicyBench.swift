import BPF
import MartletModel
import MartletNetworking
import MartletPolicy
import PolicyTesting
import Testing

/// Tables of node `here` over memory, and questions to them.
///
/// The workloads `a/client` (10.0.0.1, fd00::1, `app=client`) and `a/server` (10.0.0.2, fd00::2, `app=server`, port
/// `http` is TCP 80) are there from the start.
final class PolicyBench {
  let maps: PolicyMaps
  let table: PolicyTable
  private(set) var state = ClusterState()
  private(set) var outcome = PolicyTable.Outcome()

  static let client: [IPAddress] = [IPAddress(10, 0, 0, 1), IPAddress(high: 0xfd00 << 48, low: 1)]
  static let server: [IPAddress] = [IPAddress(10, 0, 0, 2), IPAddress(high: 0xfd00 << 48, low: 2)]
  static let outside: [IPAddress] = [IPAddress(198, 51, 100, 7), IPAddress(high: 0x2001_0db8 << 32, low: 7)]

  init(_ maps: PolicyMaps = .inMemory(.small)) {
    self.maps = maps
    table = PolicyTable(maps: maps, nodeName: "here")
    set(.workload(.named("client", Self.client)))
    set(.workload(.named("server", Self.server, ports: [.init(name: "http", port: 80)])))
  }

  func set(_ resources: Resource...) { apply(resources.map { .set($0) }) }

  func remove(_ keys: Resource.Key...) { apply(keys.map { .removed($0) }) }

  private func apply(_ changes: [StateChange]) {
    for change in changes { state.apply(change) }
    outcome = table.apply(changes)
  }

  /// Lets time pass until nothing waits.
  func settle() {
    var now = ContinuousClock.now
    while table.needsReclaim && now < .now + .seconds(20) {
      outcome = table.reclaim(now: now)
      now += PolicyTable.gracePeriod
    }
  }

  /// What is said to a packet; the same by the tables and by the objects, or the test fails.
  func ask(
    _ point: PolicyPoint = .server, from source: IPAddress = client[0], to destination: IPAddress = server[0],
    _ protocol: L4Protocol = .tcp, port: UInt16 = 80, sourcePort: UInt16 = 40_000
  ) -> PolicyDecision {
    let packet = PolicyPacket(
      from: source, to: destination, `protocol`, sourcePort: sourcePort, destinationPort: port)
    do {
      let mismatch = try table.mismatch(at: point, on: packet, PolicyEvaluator(maps), PolicyOracle(state))
      #expect(mismatch == nil)
      return try PolicyEvaluator(maps).verdict(of: table.setID(of: point), on: packet).decision
    } catch {
      Issue.record("\(error)")
      return .next
    }
  }

  /// As ``ask(_:from:to:_:port:sourcePort:)``, of the same two in the other family.
  func ask6(_ point: PolicyPoint = .server, _ protocol: L4Protocol = .tcp, port: UInt16 = 80) -> PolicyDecision {
    ask(point, from: Self.client[1], to: Self.server[1], `protocol`, port: port)
  }
}

extension PolicyPoint {
  static let server = PolicyPoint.workload(NamespacedName(namespace: "a", name: "server"), .ingress)
  static let client = PolicyPoint.workload(NamespacedName(namespace: "a", name: "client"), .egress)

  static func host(_ stage: HostStage) -> PolicyPoint { .host(name: "eth0", stage) }
}

extension Workload {
  static func named(_ name: String, _ addresses: [IPAddress], ports: [Port] = []) -> Workload {
    Workload(
      name: NamespacedName(namespace: "a", name: name), node: "here", addresses: addresses, labels: ["app": name],
      ports: ports)
  }
}

extension Resource {
  /// A policy for `app=server`'s ingress unless said otherwise.
  static func rules(
    of name: String = "p", _ rules: [PolicyRule], tier: String = "default", order: Double? = nil,
    subject: Selector = .equals("app", "server"), direction: PolicyDirection = .ingress, stage: Policy.Stage = .normal,
    edit: (inout Policy) -> Void = { _ in }
  ) -> Resource {
    var policy = Policy(
      name: PolicyName(.globalNetworkPolicy, NamespacedName(namespace: "", name: name)), tier: tier, order: order,
      subject: Policy.Subject(subject), directions: [direction], stage: stage)
    if direction == .ingress { policy.ingress = rules } else { policy.egress = rules }
    edit(&policy)
    return .policy(policy)
  }

  static func key(_ policy: String) -> Key {
    .policy(PolicyName(.globalNetworkPolicy, NamespacedName(namespace: "", name: policy)))
  }
}
