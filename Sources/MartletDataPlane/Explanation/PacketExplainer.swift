import BPF
import CBPF
import MartletModel
import MartletNetworking
import MartletPolicy
import MartletServices
import Netlink

/// Explains what a node does with a packet: it runs the attached programs on it, predicts the same from the cluster's
/// state, asks the objects themselves, and says where these differ.
///
/// ```swift
/// let explainer = try PacketExplainer(options, state: state)
/// let explanation = try explainer.explain(packet, ingressInterface: nil)
/// ```
///
/// It works in the network namespace of the calling thread, which has to be the node's. No flow, affinity or other trace
/// stays behind but for counters. What the model does not know may be a difference without being a mistake: addresses
/// that only the kernel has, routes that lead nowhere, or a state that the agent has not been told yet.
///
/// Not for several threads at once.
public final class PacketExplainer {
  private let options: BPFDataPlane.Options
  private let state: ClusterState
  private let netlink: NetlinkSocket
  private let maps: DatapathMaps
  private let policies: DatapathPolicyMaps
  private let probe: ProbeRun
  private let oracle: PolicyOracle
  private let stagedOracle: PolicyOracle?
  private var lastModel: (place: String, exit: String?, model: Model)?

  /// An explainer of the data plane that `options` have set up, which need not run.
  ///
  /// - Parameter state: the cluster as the data plane has been told.
  /// - Throws: `BPFError` if none is pinned, or the privileges do not suffice.
  public init(_ options: BPFDataPlane.Options, state: ClusterState) throws {
    self.options = options
    self.state = state
    netlink = try NetlinkSocket()
    maps = try DatapathMaps(pinnedUnder: options.pins)
    policies = try DatapathPolicyMaps(pinnedUnder: options.pins)
    probe = try ProbeRun(options.pins)
    var complete = state
    if options.configuration.automaticHostEndpoints {
      complete.hostEndpoints.merge(state.automaticHostEndpoints) { written, _ in written }
    }
    oracle = PolicyOracle(complete)
    stagedOracle = complete.withStagedPolicies.map(PolicyOracle.init)
  }

  /// What becomes of `packet`, by the interface `ingressInterface` or by the one that leads to its sender.
  ///
  /// Throws ``PacketQuestionError`` if no program sees such a packet.
  public func explain(_ packet: PolicyPacket, ingressInterface: String? = nil) throws -> Explanation {
    let place = try place(packet, ingressInterface)
    if let running = try probe.runningFlow(of: packet) {
      let remedy =
        packet.protocol.hasPorts || packet.protocol.isICMP
        ? "name another --source-port to ask about a new one" : "no other can begin before it has ended"
      throw PacketQuestionError(
        "a flow by these ends is running, \(try destination(of: running)), and goes on as it was decided: \(remedy)")
    }
    let live = try observe(packet, at: place)
    let fate = try predict(packet, at: place, live)
    var explanation = Explanation(
      packet: "\(packet)", seenBy: "\(place.program) at \(place.name)", service: nil, backends: [], steps: [],
      verdict: live.text, dropReason: live.reason, disagreements: [])
    explanation.service = fate.service.map { "\($0)" }
    explanation.backends = backends(fate, live)
    for judgement in fate.judgements { try explain(judgement, in: &explanation) }
    let predicted = Observation(fate.verdict)
    if !live.matches(predicted) {
      explanation.disagreements.append("the programs say \(live.text), and the model \(predicted.text)")
    }
    try compareRules(of: live, fate, &explanation)
    return explanation
  }

  // MARK: - Where it is seen

  private struct Place {
    let program: String
    let interface: InterfaceIndex
    let name: String
    let origin: PacketOrigin
  }

  private func place(_ packet: PolicyPacket, _ ingressInterface: String?) throws -> Place {
    if let ingressInterface {
      guard let link = try netlink.link(named: ingressInterface) else {
        throw PacketQuestionError("there is no interface \(ingressInterface) here: correct --ingress-interface")
      }
      return try arrival(at: link.index, link.name)
    }
    let source = try maps.addresses.get(ip_address(packet.source))
    switch address_kind(source?.kind ?? 0) {
    case ADDRESS_LOCAL_POD:
      let interface = InterfaceIndex(try maps.endpoints.get(source?.index ?? 0)?.ifindex ?? 0)
      return try arrival(at: interface, try name(of: interface))
    case ADDRESS_THIS_NODE: return try departure(packet)
    default:
      guard let interface = try netlink.route(to: packet.source)?.interface else {
        throw PacketQuestionError(
          "no route leads to \(packet.source), so nobody knows where it comes in: name --ingress-interface")
      }
      return try arrival(at: interface, try name(of: interface))
    }
  }

  private func name(of interface: InterfaceIndex) throws -> String {
    try netlink.link(interface)?.name ?? "interface \(interface)"
  }

  private func arrival(at interface: InterfaceIndex, _ name: String) throws -> Place {
    if probe.isAttached("from_pod", to: interface) {
      let pods = try policies.pods()
      let slot = pods.keys.first { (try? maps.endpoints.get($0))??.ifindex == interface.rawValue }
      guard let slot, let pod = pods[slot] else {
        throw PacketQuestionError("no pod of this node is behind \(name): it has not been told to the agent yet")
      }
      return Place(program: "from_pod", interface: interface, name: name, origin: .pod(pod))
    }
    guard probe.isAttached("from_net", to: interface) else {
      throw PacketQuestionError(
        "no program sees what comes in by \(name): name an interface of a pod or to the network by --ingress-interface")
    }
    return Place(program: "from_net", interface: interface, name: name, origin: .network)
  }

  /// What the host itself sends is seen where its route leads.
  private func departure(_ packet: PolicyPacket) throws -> Place {
    let route = try netlink.route(to: packet.destination)
    let interface = route?.interface ?? .loopback
    for program in ["to_pod", "to_net", "to_host"] where probe.isAttached(program, to: interface) {
      return Place(program: program, interface: interface, name: try name(of: interface), origin: .host)
    }
    throw PacketQuestionError("no program sees what the host sends to \(packet.destination): its route is not by one")
  }

  // MARK: - What the programs do

  /// A verdict in the terms that programs and model share.
  fileprivate struct Observation {
    var text: String
    var reason: String?
    var flow: flow?

    func matches(_ other: Observation) -> Bool { text == other.text && reason == other.reason }
  }

  private func observe(_ packet: PolicyPacket, at place: Place) throws -> Observation {
    // What is dropped there, the next hook drops by the same tables, and counts it.
    let isDroppedOnWire = try place.program == "from_net" && probe.isDroppedOnWire(packet, at: place.interface)
    let receiver = try netlink.link(place.interface)?.macAddress ?? MACAddress(bits: 0)
    let result = try probe.run(place.program, at: place.interface, receiver: receiver, packet)
    let reasons = result.counters.filter { $0.hasPrefix("drop_") }.sorted()
    if result.isDropped || !reasons.isEmpty || isDroppedOnWire {
      return Observation(text: "dropped", reason: try reasons.map(meaning).joined(separator: ", "))
    }
    if result.isAnswered { return Observation(text: "refused") }
    guard let flow = result.flow else { return Observation(text: "left to the host's stack") }
    return Observation(text: try destination(of: flow), flow: flow)
  }

  private func meaning(of counter: String) throws -> String {
    let meaning = try maps.readCounters().first { $0.name == counter }?.meaning ?? ""
    return "\(counter): \(meaning)"
  }

  private func destination(of flow: flow) throws -> String {
    let flags = UInt32(flow.flags)
    if flags & FLOW_BY_STACK.rawValue != 0 { return "left to the host's stack" }
    if flags & FLOW_TO_HOST.rawValue != 0 { return "to this node itself" }
    if flow.endpoint != 0 {
      return "to pod \(try policies.pods()[flow.endpoint].map { "\($0)" } ?? "in slot \(flow.endpoint)")"
    }
    guard flow.tunnel_node != 0 else { return "to the network" }
    let hash = try maps.nodes.get(flow.tunnel_node)?.name
    let node = state.nodes.keys.first { NodeNumbers.hash($0) == hash }
    return "through the tunnel to node \(node ?? "number \(flow.tunnel_node)")"
  }

  private func backends(_ fate: PacketFate, _ live: Observation) -> [String] {
    guard fate.service != nil else { return [] }
    if let flow = live.flow, flow.tunnel_node == 0 {
      return [socketText(IPAddress(flow.destination), port: UInt16(bigEndian: flow.destination_port))]
    }
    return fate.candidates.map { socketText($0.address, port: $0.port) }
  }

  // MARK: - What the model says

  /// Says which backend is chosen, so that every one's turn comes.
  private final class Chooser: RandomNumberGenerator {
    var number: UInt64 = 0
    func next() -> UInt64 { number }
  }

  /// The prediction that agrees with what was observed, if any choice of a backend makes one.
  private func predict(
    _ packet: PolicyPacket, at place: Place, _ live: Observation
  ) throws -> PacketFate {
    let first = try prediction(
      of: packet, at: place, leavingBy: exit(of: live, to: packet.destination), choosing: (0, 1))
    for (index, candidate) in first.candidates.enumerated() {
      let other = try prediction(
        of: packet, at: place, leavingBy: exit(of: live, to: candidate.address),
        choosing: (index, first.candidates.count))
      guard live.matches(Observation(other.verdict)) else { continue }
      guard let flow = live.flow, let forwarded = other.forwarded else { return other }
      if forwarded.destination == IPAddress(flow.destination) { return other }
    }
    return first
  }

  private func prediction(
    of packet: PolicyPacket, at place: Place, leavingBy exit: String?, choosing choice: (index: Int, count: Int)
  ) throws -> PacketFate {
    let model = try model(at: place, leavingBy: exit)
    model.dataPlane.forgetFlows()
    model.chooser.number = ((UInt64(choice.index) << 32 + UInt64(choice.count) - 1) / UInt64(choice.count)) << 32
    return try model.dataPlane.fate(of: packet.described, from: place.origin)
  }

  /// The name of the interface by which a flow leaves, or what goes to `destination`.
  private func exit(of live: Observation, to destination: IPAddress) throws -> String? {
    let known = live.flow.map(\.exit_ifindex).flatMap { $0 == 0 || $0 == .max ? nil : InterfaceIndex($0) }
    return try (known ?? netlink.route(to: destination)?.interface).map(name)
  }

  private typealias Model = (dataPlane: InMemoryDataPlane, chooser: Chooser)

  /// A data plane in memory that knows the interfaces that the packet passes. The last one is kept: most choices of a
  /// backend leave by the same interface.
  private func model(at place: Place, leavingBy exit: String?) throws -> Model {
    if let lastModel, lastModel.exit == exit, lastModel.place == place.name { return lastModel.model }
    var options = InMemoryDataPlane.Options(configuration: options.configuration)
    options.masqueradePools = self.options.masqueradePools
    options.directReturnExclusions = self.options.directReturnExclusions
    options.usesOverlay = self.options.usesOverlay
    options.blockedSources = self.options.blockedSources
    let isFromPod = if case .pod = place.origin { true } else { false }
    options.networkInterface = isFromPod ? exit : place.name
    options.exitInterface = exit == options.networkInterface ? nil : exit
    options.podInterfaces = try podInterfaces()
    let model: Model
    model.chooser = Chooser()
    model.dataPlane = try InMemoryDataPlane(options, random: model.chooser)
    _ = model.dataPlane.start(with: state)
    lastModel = (place.name, exit, model)
    return model
  }

  private func podInterfaces() throws -> [NamespacedName: String] {
    let links = Dictionary(try netlink.links().map { ($0.index, $0.name) }) { $1 }
    var names: [NamespacedName: String] = [:]
    for (slot, pod) in try policies.pods() {
      guard let endpoint = try maps.endpoints.get(slot) else { continue }
      names[pod] = links[InterfaceIndex(endpoint.ifindex)]
    }
    return names
  }

  // MARK: - Policies

  /// Adds what the tables in the kernel and the objects say at one place to what the model says.
  private func explain(_ judgement: PolicyJudgement, in explanation: inout Explanation) throws {
    let set = try policies.set(at: judgement.point)
    let inspection = PolicyInspection(policies)
    let verdict = judgement.verdict
    explanation.steps.append(
      Explanation.Step(
        point: "\(judgement.point)", packet: "\(judgement.packet)",
        policies: try inspection.policies().filter { $0.sets.contains(set) }.map {
          "tier \($0.tier): \($0.kind) \($0.name)"
        },
        logged: verdict.logged.map { "\($0)" }, rule: verdict.rule.map { "\($0)" }, decision: verdict.decision.rawValue,
        staged: staged(judgement))
    )
    let objects = oracle.verdict(at: judgement.point, on: judgement.packet)
    if objects.decision != verdict.decision || objects.rule != verdict.rule {
      explanation.disagreements.append(
        "\(judgement.point): the model says \(verdict.text), the objects \(objects.text)")
    }
    let (action, id) = try probe.judge(judgement.packet, by: set)
    let rule = try policies.ruleNames.get(id).flatMap { RuleName($0) }
    let live = PolicyVerdict(PolicyDecision(action), by: action == nil ? nil : rule)
    if live.decision != objects.decision || live.rule != objects.rule {
      explanation.disagreements.append("\(judgement.point): the tables say \(live.text), the objects \(objects.text)")
    }
  }

  /// What would be said if staged policies were in force, if that is something else.
  private func staged(_ judgement: PolicyJudgement) -> String? {
    guard let verdict = stagedOracle?.verdict(at: judgement.point, on: judgement.packet),
      verdict.decision != judgement.verdict.decision || verdict.rule != judgement.verdict.rule
    else { return nil }
    return verdict.text
  }

  /// The rules that a flow remembers have to be among those that the model names.
  private func compareRules(of live: Observation, _ fate: PacketFate, _ explanation: inout Explanation) throws {
    guard let flow = live.flow else { return }
    let predicted = Set(fate.judgements.compactMap(\.verdict.rule))
    for id in [flow.egress_rule, flow.ingress_rule] where id != 0 {
      guard let entry = try policies.ruleNames.get(id), let rule = RuleName(entry) else { continue }
      if !predicted.contains(rule) {
        explanation.disagreements.append("the programs let the flow through by \(rule), and the model does not")
      }
    }
  }
}

extension PacketExplainer.Observation {
  fileprivate init(_ verdict: PacketFate.Verdict) {
    switch verdict {
    case .pod(let pod): self.init(text: "to pod \(pod)")
    case .host: self.init(text: "to this node itself")
    case .network: self.init(text: "to the network")
    case .tunnel(let node): self.init(text: "through the tunnel to node \(node)")
    case .refused: self.init(text: "refused")
    case .dropped(let reason): self.init(text: "dropped", reason: "\(reason)")
    case .stack: self.init(text: "left to the host's stack")
    }
  }
}

extension PolicyDecision {
  fileprivate init(_ action: policy_action?) {
    switch action {
    case POLICY_ALLOW?: self = .allow
    case POLICY_REJECT?: self = .reject
    case nil: self = .next
    default: self = .deny
    }
  }
}

extension PolicyVerdict where Rule == RuleName {
  /// The decision, and the rule that decided.
  fileprivate var text: String { rule.map { "\(decision.rawValue) by \($0)" } ?? decision.rawValue }
}

extension DatapathPolicyMaps {
  /// The pods of this node, by slot.
  func pods() throws(BPFError) -> [UInt32: NamespacedName] {
    var pods: [UInt32: NamespacedName] = [:]
    try names.pods.forEach { slot, name throws(BPFError) in pods[slot] = name.namespacedName }
    return pods
  }

  /// The id of the set that is asked at `point`; 0: none.
  func set(at point: PolicyPoint) throws(BPFError) -> UInt32 {
    switch point {
    case .workload(let pod, let direction):
      guard let slot = try pods().first(where: { $0.value == pod })?.key else { return 0 }
      let sets = endpointPolicy(ofSlot: slot)
      return direction == .ingress ? sets.ingress : sets.egress
    case .host(let name, let stage):
      var interface: UInt32?
      try names.hostEndpoints.forEach { index, entry throws(BPFError) in if entry.text == name { interface = index } }
      guard let interface, let sets = try hostEndpoint(at: interface) else { return 0 }
      return sets[stage]
    }
  }
}

extension host_endpoint {
  fileprivate subscript(stage: PolicyPoint.HostStage) -> UInt32 {
    switch stage {
    case .ingress: ingress
    case .egress: egress
    case .forwardIngress: forward_ingress
    case .forwardEgress: forward_egress
    case .beforeNAT: before_nat
    case .untrackedIngress: untracked_ingress
    case .untrackedEgress: untracked_egress
    }
  }
}
