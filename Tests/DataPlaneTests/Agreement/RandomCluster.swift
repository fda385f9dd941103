import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking

/// Random clusters and packets that have something to do with them.
struct RandomCluster {
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

  private mutating func pick<Element>(_ choices: [Element]) -> Element {
    choices[Int.random(in: 0..<choices.count, using: &random)]
  }

  // MARK: - States

  mutating func options() -> InMemoryDataPlane.Options {
    var options = InMemoryDataPlane.Options(configuration: Scene.configuration)
    options.usesOverlay = chance(40)
    if chance(30) { options.masqueradePools = [] }
    return options
  }

  mutating func state() -> ClusterState {
    let number = pick([L4Protocol.tcp, .udp, .sctp])
    var service = Scene.service(number)
    service.internalTrafficPolicy = pick([.cluster, .cluster, .local])
    service.externalTrafficPolicy = pick([.cluster, .local])
    service.loadBalancing = pick([.random, .maglev])
    service.forwarding = pick([.standard, .automatic, .tunnel, .directReturn])
    if chance(30) { service.sessionAffinity = .clientIP(timeout: 60) }
    if chance(50) { restrict(&service) }
    let endpoints: [Scene.Party] = [.a, .b, .c, .world].filter { _ in chance(50) }
    return Scene.cluster.with([.service(service)] + Scene.slices(endpoints, number) + policies() + hostEndpoints())
  }

  /// Half of the time the node has policies, at its interface to the network or at all of its interfaces.
  private mutating func hostEndpoints() -> [Resource] {
    guard chance(50) else { return [] }
    let endpoint = HostEndpoint(
      name: "host", labels: ["host": "here"], node: Scene.here, interface: pick(["eth0", HostEndpoint.everyInterface]),
      profiles: chance(50) ? [Profile.defaultAllow.name] : [])
    let count = pick([0, 1, 2])
    return [.hostEndpoint(endpoint)]
      + (0..<count).map { index in
        let stage: Policy.Stage = pick([.normal, .applyOnForward, .preDNAT, .doNotTrack])
        var policy = Policy(
          name: PolicyName(.globalNetworkPolicy, NamespacedName(namespace: "", name: "host-\(index)")),
          order: Double(index), subject: Policy.Subject(.has("host")),
          directions: stage == .preDNAT ? [.ingress] : pick([[.ingress], [.egress], [.ingress, .egress]]), stage: stage)
        policy.ingress = (0..<pick([0, 1, 2])).map { _ in rule() }
        policy.egress = (0..<pick([0, 1, 2])).map { _ in rule() }
        return .policy(policy)
      }
  }

  /// A few policies for a few pods, in a tier of their own or in the usual one.
  private mutating func policies() -> [Resource] {
    let tier = Tier(name: "first", order: 1, end: pick([.pass, .deny]))
    let count = pick([0, 0, 1, 2, 3])
    return [.tier(tier)]
      + (0..<count).map { index in
        var policy = Policy(
          name: PolicyName(.globalNetworkPolicy, NamespacedName(namespace: "", name: "policy-\(index)")),
          tier: chance(30) ? tier.name : Tier.standard.name, order: Double(index),
          subject: Policy.Subject(selector(), workloadsOnly: true),
          directions: pick([[.ingress], [.egress], [.ingress, .egress]]))
        policy.ingress = (0..<pick([0, 1, 2])).map { _ in rule() }
        policy.egress = (0..<pick([0, 1, 2])).map { _ in rule() }
        policy.rejects = chance(20)
        return .policy(policy)
      }
  }

  private mutating func selector() -> Selector { pick([.all, .equals("pod", "a"), .equals("pod", "b")]) }

  private mutating func rule() -> PolicyRule {
    var rule = PolicyRule(pick([.allow, .allow, .deny, .pass, .log]))
    if chance(40) { rule.protocol = pick([.tcp, .udp, .sctp]) }
    if chance(30) { rule.source.selector = selector() }
    if chance(30) {
      let party = pick(Scene.Party.allCases)
      rule.source.prefixes = AddressFamily.allCases.map { IPPrefix(Scene.address(party, $0)) }
    }
    if rule.protocol != nil && chance(40) {
      rule.destination.ports = [pick([.named("http"), .range(PortRange(8080)), .range(PortRange(80))])]
    }
    return rule
  }

  /// Serves at the address of a load balancer, to whom half of the time does not include the world.
  private mutating func restrict(_ service: inout Service) {
    service.kind = .loadBalancer
    service.loadBalancerIngress = service.externalIPs.map { Service.LoadBalancerIngress($0) }
    service.externalIPs = []
    let party: Scene.Party = pick([.world, .there])
    service.sourceRanges = AddressFamily.allCases.map { IPPrefix(Scene.address(party, $0)) }
  }

  // MARK: - Packets

  mutating func origin() -> PacketOrigin { pick([.pod(Scene.a), .pod(Scene.b), .network, .network, .host]) }

  mutating func packet(from origin: PacketOrigin, protocols: [L4Protocol]) -> PacketDescription {
    let family = pick(AddressFamily.allCases)
    let destination = pick(Scene.Party.allCases + [.clusterIP, .externalIP, .externalIP])
    let number: UInt16 = destination == .here || destination == .there ? 30_080 : 80
    return PacketDescription(
      from: Scene.address(sender(at: origin), family), to: Scene.address(destination, family),
      transport(from: UInt16.random(in: 33_000..<60_000, using: &random), to: chance(85) ? number : 81, protocols),
      timeToLive: chance(5) ? 1 : 64)
  }

  private mutating func sender(at origin: PacketOrigin) -> Scene.Party {
    guard chance(92) else { return pick(Scene.Party.allCases) }
    switch origin {
    case .pod(Scene.b): return .b
    case .pod: return .a
    case .network, .tunnel: return pick([.world, .world, .c, .there])
    case .host: return .here
    }
  }

  private mutating func transport(
    from source: UInt16, to destination: UInt16, _ protocols: [L4Protocol]
  ) -> PacketDescription.Transport {
    switch pick(protocols) {
    case .tcp: .tcp(source: source, destination: destination, flags: tcpFlags())
    case .udp: .udp(source: source, destination: destination)
    case .sctp: .sctp(source: source, destination: destination)
    default: chance(80) ? .icmp(.echoRequest(identifier: source)) : .icmp(.echoReply(identifier: source))
    }
  }

  private mutating func tcpFlags() -> PacketDescription.TCPFlags {
    chance(75) ? .syn : pick([[.syn, .ack], .ack, .rst, [.fin, .ack], [.syn, .fin], []])
  }
}
