import BPF
import CBPF
import MartletModel
import MartletNetworking
import MartletPolicy
import Netlink

/// The policies of one node: what judges each of its pods and interfaces, in the tables that the datapath reads.
///
/// ```swift
/// problems += policy.apply(changes)                     // policies, and who everybody is
/// problems += policy.assign(slots)                      // before the pods' addresses are known
/// problems += policy.protect(interfaces)                // host endpoints, wherever they are now
/// if policy.takeChange() { … bump the generation … }
/// problems += policy.release(gone)                      // once the pods' addresses are gone
/// ```
///
/// It fills tables that begin empty, of the kernel or in memory alike.
final class NodePolicy {
  let maps: NodePolicyMaps
  private let table: PolicyTable
  private let configuration: Configuration
  private let names: PolicyNameWriter?
  private let hostEndpoints: MirroredMap<InterfaceIndex, host_endpoint, UInt32, host_endpoint>
  private let allowedSources: MirroredMap<AllowedSource, Bool, allowed_source_key, UInt32>
  private var state = ClusterState()
  private var slots: [NamespacedName: UInt32] = [:]
  /// What is in map `endpoint_policies`, by slot.
  private var written: [UInt32: endpoint_policy] = [:]
  private(set) var placement = HostEndpointPlacement([], automatic: [], at: [])
  /// Where host endpoints may be.
  private var interfaces: [HostInterface] = []
  private var hasChanged = false
  private var blocksPrefixes = false

  /// What a pod may send from, besides its own addresses.
  private struct AllowedSource: Hashable {
    let slot: UInt32
    let prefix: IPPrefix
  }

  /// Policies over `maps`, which are empty; `names` tell tools about them.
  init(_ maps: NodePolicyMaps, _ configuration: Configuration, names: PolicyNames? = nil) {
    self.maps = maps
    self.configuration = configuration
    table = PolicyTable(maps: maps.sets, nodeName: configuration.nodeName)
    self.names = names.map(PolicyNameWriter.init)
    hostEndpoints = MirroredMap(maps.hostEndpoints, key: \.rawValue, value: \.self)
    allowedSources = MirroredMap(
      maps.allowedSources, key: { allowed_source_key(slot: $0.slot, prefix: $0.prefix) }, value: { _ in 1 })
  }

  /// Enters what does not change: the failsafe ports, and senders outside that are not heard.
  func enterConstants(blocked: [IPPrefix] = []) throws(BPFError) {
    for prefix in blocked { try maps.blockedPrefixes.set(ip_prefix(prefix), 1) }
    blocksPrefixes = !blocked.isEmpty
    for port in configuration.failsafeInbound { try maps.failsafes.set(failsafe_key(port, egress: false), 1) }
    for port in configuration.failsafeOutbound { try maps.failsafes.set(failsafe_key(port, egress: true), 1) }
  }

  // MARK: - Changes

  /// Makes `changes`, as far as policies have to do with them, each before the next begins unless they are very many.
  func apply(_ changes: [StateChange]) -> [DataPlaneProblem] {
    let relevant = changes.filter(\.concernsPolicy)
    let batches = relevant.count > PolicyTable.most ? [relevant] : relevant.map { [$0] }
    return batches.flatMap(applyTogether)
  }

  /// Makes `changes` take effect at once.
  private func applyTogether(_ changes: [StateChange]) -> [DataPlaneProblem] {
    // A copy of its own: one that shares the data plane's would have each change copy all there is.
    for change in changes { state.apply(change) }
    let outcome = table.apply(withAutomaticHostEndpoints(changes))
    let concernsPlacement = changes.contains(where: \.concernsPlacement)
    if concernsPlacement { place() }
    return finish(outcome, concernsHost: concernsPlacement) + publish()
  }

  private func publish() -> [DataPlaneProblem] {
    maps.versions.flags =
      untrackedStages << UInt32(POLICY_VERSION_UNTRACKED_SHIFT)
      | workloadToHost.rawValue << UInt32(POLICY_VERSION_WORKLOAD_TO_HOST_SHIFT)
    return reporting("policies") { try maps.versions.publish() }
  }

  /// Recycles what no packet can be judged by any more, and tries again what had failed.
  func reclaim() -> [DataPlaneProblem] {
    reporting("policies") { try maps.versions.settle() }
      + (table.needsReclaim ? finish(table.reclaim(now: .now)) + publish() : [])
  }

  /// Whether verdicts may be others than when it was last asked.
  func takeChange() -> Bool {
    defer { hasChanged = false }
    return hasChanged
  }

  /// What pods may send to the node itself beyond their policies.
  var workloadToHost: workload_to_host {
    switch configuration.workloadToHostAction {
    case .accept: WORKLOAD_TO_HOST_ACCEPT
    case .drop: WORKLOAD_TO_HOST_DROP
    case .return: WORKLOAD_TO_HOST_JUDGE
    case .automatic: placement.hasWritten ? WORKLOAD_TO_HOST_DROP : WORKLOAD_TO_HOST_ACCEPT
    }
  }

  /// What is asked of each packet before connections are tracked: bits of `enum untracked_stage`.
  var untrackedStages: UInt32 {
    let endpoints = placement.names.values.map(sets)
    var stages: UInt32 = 0
    if blocksPrefixes { stages |= UNTRACKED_BLOCKED.rawValue }
    if endpoints.contains(where: { $0.untracked_ingress != 0 }) { stages |= UNTRACKED_INGRESS.rawValue }
    if endpoints.contains(where: { $0.untracked_egress != 0 }) { stages |= UNTRACKED_EGRESS.rawValue }
    return stages
  }

  private func finish(_ outcome: PolicyTable.Outcome, concernsHost: Bool = false) -> [DataPlaneProblem] {
    var problems = outcome.problems.map(DataPlaneProblem.init)
    hasChanged = hasChanged || outcome.changesVerdicts
    var concernsHost = concernsHost
    for point in outcome.changedPoints {
      switch point {
      case .workload(let name, _): if let slot = slots[name] { write(name, slot) }
      case .host: concernsHost = true
      }
    }
    if concernsHost { problems += writeHostEndpoints() }
    return problems
      + reporting("names of policies") { try names?.set(policiesOf: outcome.changedSets, in: table) }
  }

  // MARK: - Pods

  /// Gives each pod its policy where packets look for it: in its slot.
  func assign(_ slots: [NamespacedName: UInt32]) -> [DataPlaneProblem] {
    var sources: [AllowedSource: Bool] = [:]
    for (name, slot) in slots {
      write(name, slot)
      for prefix in state.workloads[name]?.allowedSources ?? [] {
        sources[AllowedSource(slot: slot, prefix: prefix)] = true
      }
    }
    self.slots = slots
    return publish()
      + reporting("allowed source addresses of pods") {
        if try allowedSources.replace(with: sources) { hasChanged = true }
        try names?.set(slots: slots)
      }
  }

  /// Takes their policies from slots that no address leads to any more.
  func release(_ slots: Set<UInt32>) {
    for slot in slots where written.removeValue(forKey: slot) != nil {
      maps.endpointPolicies.write([endpoint_policy()], at: Int(slot))
    }
    _ = publish()
  }

  /// A pod that is gone keeps its policy for as long as it has its slot.
  private func write(_ name: NamespacedName, _ slot: UInt32) {
    let policy = endpoint_policy(
      ingress: table.setID(of: .workload(name, .ingress)), egress: table.setID(of: .workload(name, .egress)))
    guard policy.ingress != 0, policy.egress != 0, written[slot] != policy else { return }
    maps.endpointPolicies.write([policy], at: Int(slot))
    written[slot] = policy
  }

  // MARK: - Host endpoints

  /// Finds the interfaces of this node's host endpoints among `interfaces`.
  func protect(_ interfaces: [HostInterface]) -> [DataPlaneProblem] {
    self.interfaces = interfaces
    place()
    return placement.problems + writeHostEndpoints() + publish()
  }

  private func place() {
    placement = HostEndpointPlacement(
      writtenHostEndpoints, automatic: automaticHostEndpoint.map { [$0] } ?? [], at: interfaces)
  }

  private func writeHostEndpoints() -> [DataPlaneProblem] {
    reporting("host endpoints") {
      if try hostEndpoints.replace(with: placement.names.mapValues(sets)) { hasChanged = true }
      try names?.set(hostEndpoints: placement.names)
    }
  }

  /// The host endpoint that protects an interface, and its sets.
  func hostEndpoint(at interface: InterfaceIndex) -> (name: String, sets: host_endpoint)? {
    (placement.names[interface] ?? placement.names[HostEndpointPlacement.everyInterface]).map { ($0, sets(of: $0)) }
  }

  private func sets(of name: String) -> host_endpoint {
    func set(_ stage: PolicyPoint.HostStage) -> UInt32 { table.setID(of: .host(name: name, stage)) }
    return host_endpoint(
      ingress: set(.ingress), egress: set(.egress), forward_ingress: set(.forwardIngress),
      forward_egress: set(.forwardEgress), before_nat: set(.beforeNAT), untracked_ingress: set(.untrackedIngress),
      untracked_egress: set(.untrackedEgress), present: 1)
  }

  /// Those of this node that somebody has written.
  var writtenHostEndpoints: [HostEndpoint] {
    state.hostEndpoints.values.filter { $0.node == configuration.nodeName }
  }

  private var automaticHostEndpoint: HostEndpoint? {
    guard configuration.automaticHostEndpoints, let node = state.nodes[configuration.nodeName] else { return nil }
    let endpoint = HostEndpoint(automaticFor: node)
    return state.hostEndpoints[endpoint.name] == nil ? endpoint : nil
  }

  /// `changes`, with those of the host endpoints that nodes have without anybody writing them.
  private func withAutomaticHostEndpoints(_ changes: [StateChange]) -> [StateChange] {
    guard configuration.automaticHostEndpoints else { return changes }
    return changes.flatMap { change in
      switch change.key {
      case .node(let name): [change, automaticHostEndpoint(name + HostEndpoint.automaticSuffix)]
      case .hostEndpoint(let name): [automaticHostEndpoint(name)]
      default: [change]
      }
    }
  }

  /// What the host endpoint `name` is now, whoever has made it.
  private func automaticHostEndpoint(_ name: String) -> StateChange {
    if let endpoint = state.hostEndpoints[name] { return .set(.hostEndpoint(endpoint)) }
    if name.hasSuffix(HostEndpoint.automaticSuffix),
      let node = state.nodes[String(name.dropLast(HostEndpoint.automaticSuffix.count))]
    {
      return .set(.hostEndpoint(HostEndpoint(automaticFor: node)))
    }
    return .removed(.hostEndpoint(name))
  }
}

extension StateChange {
  /// Whether host endpoints may be at other interfaces.
  fileprivate var concernsPlacement: Bool {
    switch key {
    case .hostEndpoint, .node: true
    default: false
    }
  }

  /// Whether policies may have to do with it.
  fileprivate var concernsPolicy: Bool {
    switch key {
    case .service, .serviceRange: false
    case .node, .workload, .namespace, .endpointSlice, .serviceAccount, .profile, .tier, .networkSet, .hostEndpoint,
      .policy:
      true
    }
  }
}

extension DataPlaneProblem {
  init(_ problem: PolicyProblem) { self.init(problem.subject, "\(problem.reason)") }
}
