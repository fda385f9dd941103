import MartletModel
import MartletNetworking
import MartletPolicy
import TableTesting

/// A small cluster in which everything that can happen to policies happens often: names, labels, addresses and ports
/// are few, so that they meet.
///
/// Points are those of node `here`.
public struct RandomPolicyCluster {
  /// What everything is drawn from.
  public var generator: SeededGenerator
  /// The objects as they are now.
  public private(set) var state: ClusterState
  /// Nodes and workloads that stay where they are.
  private let residents: ClusterState

  /// The node that the points are of.
  public static let nodeName = "here"
  /// Addresses of workloads, host endpoints and nodes, and of nobody.
  public static let addresses: [IPAddress] =
    (1...7).map { IPAddress(10, 0, 0, $0) } + [IPAddress(10, 1, 0, 1), IPAddress(192, 0, 2, 1), IPAddress(8, 8, 8, 8)]
    + (1...7).map { IPAddress(high: 0xfd00 << 48, low: $0) }
    + [
      IPAddress(high: 0xfd00_0001 << 32, low: 1), IPAddress(high: 0x2001_0db8 << 32, low: 1),
      IPAddress(high: 0x2a00 << 48, low: 8),
    ]
  static let prefixes: [IPPrefix] = [
    IPPrefix(.init(10, 0, 0, 0), length: 8), IPPrefix(.init(10, 0, 0, 0), length: 24),
    IPPrefix(.init(10, 0, 0, 0), length: 30), IPPrefix(.init(10, 0, 0, 4), length: 30),
    IPPrefix(.init(10, 0, 0, 3)), .all(.ipv4), IPPrefix(.init(8, 0, 0, 0), length: 5),
    IPPrefix(IPAddress(high: 0xfd00 << 48, low: 0), length: 16),
    IPPrefix(IPAddress(high: 0xfd00 << 48, low: 0), length: 64),
    IPPrefix(IPAddress(high: 0xfd00 << 48, low: 4), length: 126),
    IPPrefix(IPAddress(high: 0xfd00 << 48, low: 3)), .all(.ipv6),
  ]
  static let namespaces = ["a", "b"]
  static let keys = ["role", "env", "app"]
  static let values = ["x", "y"]
  static let portNames = ["http", "dns"]
  static let ports: [UInt16] = [53, 80, 81, 443]
  static let protocols: [L4Protocol] = [.tcp, .udp, .sctp, .icmp, .icmpv6, L4Protocol(rawValue: 47)]
  static let tiers = ["first", "second", "missing", "kube-admin", "default", "default", "kube-baseline"]
  static let services = (0..<3).map { NamespacedName(namespace: namespaces[$0 % 2], name: "s\($0)") }
  static let profiles = ["kns.a", "ksa.a.robot", "custom", Profile.defaultAllow.name]

  /// The cluster that follows from `seed`. It has nothing as yet but `residents`: nodes that do not change, and workloads
  /// of which all changes but where they are.
  public init(seed: Int, residents: ClusterState = ClusterState()) {
    generator = SeededGenerator(seed: seed)
    (state, self.residents) = (residents, residents)
  }

  /// A cluster with about `objects` objects.
  public static func filled(
    seed: Int, objects: Int = 24, residents: ClusterState = ClusterState()
  ) -> RandomPolicyCluster {
    var cluster = RandomPolicyCluster(seed: seed, residents: residents)
    for _ in 0..<objects { _ = cluster.edit() }
    return cluster
  }

  /// Makes a random change to the state and returns it.
  public mutating func edit() -> StateChange {
    var change = randomChange()
    while concernsResidents(change) { change = randomChange() }
    state.apply(change)
    return change
  }

  private func concernsResidents(_ change: StateChange) -> Bool {
    switch change {
    case .removed(.workload(let name)): residents.workloads[name] != nil
    case .set(.node(let node)): residents.nodes[node.name] != nil
    default: false
    }
  }

  // MARK: - Objects

  private mutating func randomChange() -> StateChange {
    switch generator.below(40) {
    case 0: .set(.namespace(Namespace(name: generator.pick(Self.namespaces), labels: labels())))
    case 1: .removed(.namespace(generator.pick(Self.namespaces)))
    case 2: .set(.serviceAccount(ServiceAccount(name: NamespacedName(namespace: "a", name: "robot"), labels: labels())))
    case 3: .set(.profile(profile()))
    case 4: .removed(.profile(generator.pick(Self.profiles)))
    case 5...12: .set(.workload(workload()))
    case 13: .removed(.workload(workloadName()))
    case 14, 15: .set(.hostEndpoint(hostEndpoint()))
    case 16: .removed(.hostEndpoint(hostEndpointName()))
    case 17: .set(.node(node()))
    case 18...20: .set(.networkSet(networkSet()))
    case 21: .removed(.networkSet(networkSetName()))
    case 22, 23: .set(.endpointSlice(slice()))
    case 24: .set(.tier(tier()))
    case 25: .removed(.tier(generator.pick(["first", "second"])))
    case 26, 27: .removed(.policy(policyName()))
    case 28...31: edited() ?? .set(.policy(policy()))
    default: .set(.policy(policy()))
    }
  }

  private mutating func labels() -> [String: String] {
    Dictionary(uniqueKeysWithValues: generator.some(Self.keys).map { ($0, generator.pick(Self.values)) })
  }

  private mutating func workloadName() -> NamespacedName {
    NamespacedName(namespace: generator.pick(Self.namespaces), name: "w\(generator.below(4))")
  }

  private mutating func workload() -> Workload {
    var workload = Workload(
      name: workloadName(), node: generator.oneIn(4) ? "there" : Self.nodeName,
      addresses: generator.few(freeAddresses, upTo: 3), labels: labels(), ports: namedPorts(),
      usesHostNetwork: generator.oneIn(12), serviceAccount: generator.oneIn(3) ? "robot" : "default",
      isFinished: generator.oneIn(12))
    if let resident = residents.workloads[workload.name] {
      (workload.node, workload.addresses) = (resident.node, resident.addresses)
      (workload.usesHostNetwork, workload.isFinished) = (false, false)
    }
    return workload
  }

  private var freeAddresses: [IPAddress] {
    let taken =
      residents.workloads.values.flatMap(\.addresses) + residents.nodes.values.flatMap(\.addresses).map(\.address)
    return Self.addresses.filter { !taken.contains($0) }
  }

  private mutating func namedPorts() -> [Workload.Port] {
    generator.some(Self.portNames + ["http"]).map {
      Workload.Port(name: $0, protocol: generator.pick([.tcp, .udp]), port: generator.pick(Self.ports))
    }
  }

  private mutating func hostEndpointName() -> String { "h\(generator.below(2))" }

  private mutating func hostEndpoint() -> HostEndpoint {
    HostEndpoint(
      name: hostEndpointName(), labels: labels(), node: generator.oneIn(4) ? "there" : Self.nodeName,
      interface: HostEndpoint.everyInterface, expectedAddresses: generator.few(Self.addresses, upTo: 2),
      profiles: generator.some(Self.profiles + ["kns.b"]), ports: namedPorts())
  }

  private mutating func node() -> Node {
    Node(
      name: generator.pick([Self.nodeName, "there"]),
      addresses: generator.few(freeAddresses, upTo: 2).map { .init($0) },
      labels: labels())
  }

  private mutating func networkSetName() -> NamespacedName {
    NamespacedName(namespace: generator.pick(["", "a"]), name: "n\(generator.below(3))")
  }

  private mutating func networkSet() -> NetworkSet {
    NetworkSet(name: networkSetName(), labels: labels(), prefixes: generator.few(Self.prefixes, upTo: 4))
  }

  private mutating func slice() -> EndpointSlice {
    let service = generator.pick(Self.services)
    return EndpointSlice(
      name: NamespacedName(namespace: service.namespace, name: "slice-\(generator.below(4))"),
      serviceName: service.name,
      family: generator.pick(AddressFamily.allCases),
      endpoints: generator.few(Self.addresses, upTo: 5).map { .init(address: $0) },
      ports: generator.few([.tcp, .udp], upTo: 2).map { .init(protocol: $0, port: generator.pick(Self.ports)) })
  }

  private mutating func tier() -> Tier {
    Tier(
      name: generator.pick(["first", "second"]), order: generator.pick([nil, 1, 2_000, 20_000_000]),
      end: generator.pick([.deny, .pass]))
  }

  private mutating func profile() -> Profile {
    Profile(name: generator.pick(Self.profiles), labels: labels(), ingress: rules(), egress: rules())
  }

  // MARK: - Policies

  private mutating func policyName() -> PolicyName {
    PolicyName(
      generator.pick([.networkPolicy, .globalNetworkPolicy]),
      NamespacedName(namespace: generator.pick(["", "a"]), name: "p\(generator.below(4))"))
  }

  private mutating func policy() -> Policy {
    Policy(
      name: policyName(), tier: generator.pick(Self.tiers), order: generator.pick([nil, 10, 10, 20]),
      subject: Policy.Subject(
        generator.oneIn(2) ? .all : selector(depth: 1), workloadsOnly: generator.oneIn(4)),
      directions: generator.pick([[.ingress], [.egress], [.ingress, .egress], [.ingress, .egress]]),
      ingress: rules(), egress: rules(),
      stage: generator.pick([.normal, .normal, .normal, .applyOnForward, .preDNAT, .doNotTrack]),
      isStaged: generator.oneIn(15), rejects: generator.oneIn(8))
  }

  /// The everyday change: one rule of a policy comes, goes or is another.
  private mutating func edited() -> StateChange? {
    let policies = state.policies.values.sorted { $0.name < $1.name }
    guard !policies.isEmpty else { return nil }
    var policy = generator.pick(policies)
    var rules = generator.oneIn(2) ? policy.ingress : policy.egress
    let isIngress = rules == policy.ingress
    switch generator.below(3) {
    case 0: rules.insert(rule(), at: generator.below(rules.count + 1))
    case 1 where !rules.isEmpty: rules.remove(at: generator.below(rules.count))
    default: if rules.isEmpty { rules = [rule()] } else { rules[generator.below(rules.count)] = rule() }
    }
    if isIngress { policy.ingress = rules } else { policy.egress = rules }
    return .set(.policy(policy))
  }

  private mutating func rules() -> [PolicyRule] { (0..<generator.below(5)).map { _ in rule() } }

  /// A random rule.
  public mutating func rule() -> PolicyRule {
    let action = generator.pick([PolicyRule.Action.allow, .allow, .allow, .deny, .deny, .deny, .pass, .log])
    var rule = PolicyRule(action, matchesNothing: generator.oneIn(30))
    if generator.oneIn(8) { rule.family = generator.pick(AddressFamily.allCases) }
    if generator.oneIn(3) { rule.protocol = generator.pick(Self.protocols) }
    if generator.oneIn(8) { rule.notProtocol = generator.pick(Self.protocols) }
    if generator.oneIn(12) {
      rule.protocol = generator.pick([.icmp, .icmpv6, nil])
      rule.icmp = message()
    }
    if generator.oneIn(12) { rule.notICMP = message() }
    rule.source = entity(isSource: true)
    rule.destination = entity(isSource: false)
    return rule
  }

  private mutating func message() -> PolicyRule.ICMPMatch {
    .init(type: generator.pick([0, 8]), code: generator.pick([nil, 0, 1]))
  }

  private mutating func entity(isSource: Bool) -> EntityMatch {
    var entity = EntityMatch()
    guard !generator.oneIn(4) else { return entity }
    if generator.oneIn(3) { entity.selector = selector(depth: 2) }
    if generator.oneIn(8) { entity.notSelector = selector(depth: 1) }
    if generator.oneIn(15) { entity.nodes = generator.oneIn(2) ? .all : selector(depth: 0) }
    if generator.oneIn(5) { entity.prefixes = generator.some(Self.prefixes) }
    if generator.oneIn(8) { entity.notPrefixes = generator.some(generator.some(Self.prefixes)) }
    if generator.oneIn(isSource ? 10 : 4) { entity.ports = generator.few(portMatches, upTo: 3) }
    if generator.oneIn(12) { entity.notPorts = generator.few(portMatches, upTo: 2) }
    if generator.oneIn(30) { entity.ports = [] }
    if generator.oneIn(15) { entity.service = generator.pick(Self.services) }
    return entity
  }

  private let portMatches: [EntityMatch.PortMatch] =
    Self.ports.map { .range(PortRange($0)) } + [.range(PortRange(60...100)), .range(.all), .named("http")]
    + [.named("dns")]

  private mutating func selector(depth: Int) -> Selector {
    if depth > 0, generator.oneIn(3) {
      let parts = (0...generator.below(2)).map { _ in selector(depth: depth - 1) }
      return generator.pick([.and(parts), .or(parts), .not(parts[0])])
    }
    let key = generator.pick(Self.keys + ["pcns.env", PolicyLabel.namespace])
    let value = key == PolicyLabel.namespace ? generator.pick(Self.namespaces) : generator.pick(Self.values)
    return switch generator.below(8) {
    case 0: .all
    case 1: .has(key)
    case 2: .member(key, generator.some(Self.values))
    case 3: .contains(key, value)
    case 4: .not(.equals(key, value))
    default: .equals(key, value)
    }
  }

  // MARK: - Questions

  /// Every point there may be.
  public static let points: [PolicyPoint] =
    namespaces.flatMap { namespace in
      (0..<4).flatMap { index in
        PolicyDirection.allCases.map { .workload(NamespacedName(namespace: namespace, name: "w\(index)"), $0) }
      }
    } + ["h0", "h1"].flatMap { name in PolicyPoint.HostStage.allCases.map { .host(name: name, $0) } }

  /// A packet between any two addresses of one family.
  public mutating func packet() -> PolicyPacket {
    let source = generator.pick(Self.addresses)
    let destination = generator.pick(Self.addresses.filter { $0.family == source.family })
    let number = generator.oneIn(2) ? .tcp : generator.pick(Self.protocols)
    switch number {
    case .tcp, .udp, .sctp:
      return PolicyPacket(
        from: source, to: destination, number, sourcePort: generator.pick(Self.ports + [40_000]),
        destinationPort: generator.pick(Self.ports + [61, 65_535]))
    case .icmp, .icmpv6:
      let message = generator.pick([0, 8, 3]) << 8 | generator.pick([0, 1])
      return PolicyPacket(from: source, to: destination, number, destinationPort: UInt16(message))
    default:
      return PolicyPacket(from: source, to: destination, number)
    }
  }
}
