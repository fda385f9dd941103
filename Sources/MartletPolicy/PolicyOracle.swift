import MartletModel
import MartletNetworking

/// What policy says to a packet by the objects themselves, rule after rule, without any table.
///
/// Slow, and meant to be seen to be right: it says what the tables have to say. It shares nothing with what compiles
/// them but the model.
public struct PolicyOracle {
  /// The objects.
  public let state: ClusterState

  /// An oracle of `state`.
  public init(_ state: ClusterState) {
    self.state = state
    let workloads = state.workloads.values.filter(\.hasOwnAddresses)
    owners =
      workloads.map { Owner(labels: state.labels(of: $0), addresses: $0.addresses, ports: $0.ports) }
      + state.hostEndpoints.values.map {
        Owner(labels: state.labels(of: $0), addresses: $0.expectedAddresses, ports: $0.ports)
      }
    sets = state.networkSets.values.map { (state.labels(of: $0), $0.prefixes) }
  }

  /// Who has addresses and labels that selectors see.
  private struct Owner {
    let labels: [String: String]
    let addresses: [IPAddress]
    let ports: [Workload.Port]
  }

  private let owners: [Owner]
  private let sets: [(labels: [String: String], prefixes: [IPPrefix])]

  /// What is said to `packet` at `point`. A point that does not exist, and a stage of a host endpoint that no policy
  /// applies to, leave everything to the next stage.
  public func verdict(at point: PolicyPoint, on packet: PolicyPacket) -> PolicyVerdict<RuleName> {
    guard let endpoint = endpoint(of: point) else { return PolicyVerdict(.next) }
    let policies = state.policies.values.filter { applies($0, at: point, to: endpoint) }
    switch point {
    case .workload, .host(_, .ingress), .host(_, .egress):
      return judged(packet, policies, point.direction, endsTiers: true, profiles: endpoint.profiles, unmatched: .deny)
    case .host(_, .forwardIngress), .host(_, .forwardEgress):
      return judged(packet, policies, point.direction, endsTiers: true, profiles: [], unmatched: .next)
    case .host(_, .beforeNAT), .host(_, .untrackedIngress), .host(_, .untrackedEgress):
      return judged(packet, policies, point.direction, endsTiers: false, profiles: [], unmatched: .next)
    }
  }

  /// What becomes of a packet from one workload to another: each end judges it, the sender's first.
  ///
  /// `nil` in place of a workload: that end is somewhere else, and not asked. A workload that sends to itself is not
  /// asked either.
  public func verdict(
    from source: NamespacedName?, to destination: NamespacedName?, on packet: PolicyPacket
  ) -> PolicyVerdict<RuleName> {
    if let source, source == destination { return PolicyVerdict(.allow) }
    var verdict = PolicyVerdict<RuleName>(.allow)
    if let source { verdict = self.verdict(at: .workload(source, .egress), on: packet) }
    guard verdict.decision == .allow, let destination else { return verdict }
    let second = self.verdict(at: .workload(destination, .ingress), on: packet)
    return PolicyVerdict(second.decision, by: second.rule, logged: verdict.logged + second.logged)
  }

  // MARK: - Which policies

  private struct Endpoint {
    let labels: [String: String]
    let profiles: [Profile]
    let isHost: Bool
  }

  private func endpoint(of point: PolicyPoint) -> Endpoint? {
    switch point {
    case .workload(let name, _):
      guard let workload = state.workloads[name], !workload.usesHostNetwork, !workload.isFinished else { return nil }
      let account = NamespacedName(namespace: name.namespace, name: workload.serviceAccount)
      let profiles = [
        state.profiles[Profile.ofNamespace(name.namespace)] ?? allowing(Profile.ofNamespace("*")),
        state.profiles[Profile.ofServiceAccount(account)],
      ]
      return Endpoint(labels: state.labels(of: workload), profiles: profiles.compactMap(\.self), isHost: false)
    case .host(let name, _):
      guard let endpoint = state.hostEndpoints[name] else { return nil }
      let profiles = endpoint.profiles.compactMap(hostProfile)
      return Endpoint(labels: state.labels(of: endpoint), profiles: profiles, isHost: true)
    }
  }

  private func allowing(_ name: String) -> Profile {
    Profile(name: name, ingress: [PolicyRule(.allow)], egress: [PolicyRule(.allow)])
  }

  private func hostProfile(_ name: String) -> Profile? {
    if let profile = state.profiles[name] { return profile }
    if name == Profile.defaultAllow.name { return .defaultAllow }
    let isNamespace = state.namespaces.keys.contains { Profile.ofNamespace($0) == name }
    return isNamespace ? allowing(Profile.ofNamespace("*")) : nil
  }

  private func applies(_ policy: Policy, at point: PolicyPoint, to endpoint: Endpoint) -> Bool {
    guard !policy.isStaged, policy.directions.contains(point.direction) else { return false }
    guard !(policy.subject.workloadsOnly && endpoint.isHost) else { return false }
    guard policy.subject.selector.matches(endpoint.labels) else { return false }
    switch point {
    case .workload, .host(_, .ingress), .host(_, .egress):
      return policy.stage == .normal || policy.stage == .applyOnForward
    case .host(_, .forwardIngress), .host(_, .forwardEgress): return policy.stage == .applyOnForward
    case .host(_, .beforeNAT): return policy.stage == .preDNAT
    case .host(_, .untrackedIngress), .host(_, .untrackedEgress): return policy.stage == .doNotTrack
    }
  }

  // MARK: - Order

  /// The tier of each policy, in order; a tier that does not exist is the last, and denies.
  private func tiers(_ policies: [Policy]) -> [(tier: Tier, policies: [Policy])] {
    let known = state.tiers.merging(Tier.builtIn.map { ($0.name, $0) }) { _, builtIn in builtIn }
    let existing = known.values.sorted()
    let missing = Set(policies.map(\.tier)).subtracting(known.keys).sorted().map { Tier(name: $0, end: .deny) }
    return (existing + missing).map { tier in
      let members = policies.filter { $0.tier == tier.name }.sorted { left, right in
        (left.order ?? .infinity) != (right.order ?? .infinity)
          ? (left.order ?? .infinity) < (right.order ?? .infinity) : left.name < right.name
      }
      return (tier, members)
    }
    .filter { !$0.policies.isEmpty }
  }

  private func judged(
    _ packet: PolicyPacket, _ policies: [Policy], _ direction: PolicyDirection, endsTiers: Bool, profiles: [Profile],
    unmatched: PolicyDecision
  ) -> PolicyVerdict<RuleName> {
    var logged: [RuleName] = []
    nextTier: for (tier, policies) in tiers(policies) {
      for policy in policies {
        for (index, rule) in policy.rules(direction).enumerated() where matches(rule, packet) {
          let name = RuleName(.policy(policy.name, tier: policy.tier), direction, index)
          switch rule.action {
          case .allow: return PolicyVerdict(.allow, by: name, logged: logged)
          case .deny: return PolicyVerdict(policy.rejects ? .reject : .deny, by: name, logged: logged)
          case .pass: continue nextTier
          case .log: logged.append(name)
          }
        }
      }
      guard endsTiers, tier.end == .deny else { continue }
      let rejects = policies.contains(where: \.rejects)
      return PolicyVerdict(
        rejects ? .reject : .deny, by: RuleName(.tierEnd(tier.name), direction, 0), logged: logged)
    }
    for profile in profiles {
      for (index, rule) in profile.rules(direction).enumerated() where matches(rule, packet) {
        let name = RuleName(.profile(profile.name), direction, index)
        switch rule.action {
        case .allow: return PolicyVerdict(.allow, by: name, logged: logged)
        case .deny, .pass: return PolicyVerdict(.deny, by: name, logged: logged)
        case .log: logged.append(name)
        }
      }
    }
    return PolicyVerdict(unmatched, logged: logged)
  }

  // MARK: - One rule

  private func matches(_ rule: PolicyRule, _ packet: PolicyPacket) -> Bool {
    if rule.matchesNothing { return false }
    if let family = rule.family, family != packet.family { return false }
    if let number = rule.protocol, number != packet.protocol { return false }
    if let number = rule.notProtocol, number == packet.protocol { return false }
    if let message = rule.icmp, !isMessage(message, packet) { return false }
    if let message = rule.notICMP, isMessage(message, packet) { return false }
    return matches(rule.source, packet, packet.source, packet.sourcePort, isSource: true)
      && matches(rule.destination, packet, packet.destination, packet.destinationPort, isSource: false)
  }

  private func isMessage(_ message: PolicyRule.ICMPMatch, _ packet: PolicyPacket) -> Bool {
    guard packet.protocol == .icmp || packet.protocol == .icmpv6 else { return false }
    guard message.type == UInt8(packet.destinationPort >> 8) else { return false }
    return message.code == nil || message.code == UInt8(packet.destinationPort & 0xff)
  }

  private func matches(
    _ side: EntityMatch, _ packet: PolicyPacket, _ address: IPAddress, _ port: UInt16, isSource: Bool
  ) -> Bool {
    if let selector = side.selector, !isSelected(address, by: selector) { return false }
    if let selector = side.notSelector, isSelected(address, by: selector) { return false }
    if let selector = side.nodes {
      let owners = state.nodes.values.filter { $0.addresses.contains { $0.address == address } }
      guard owners.contains(where: { selector.matches($0.labels) }) else { return false }
    }
    if let prefixes = side.prefixes, !prefixes.contains(where: { $0.contains(address) }) { return false }
    if let prefixes = side.notPrefixes {
      let relevant = prefixes.filter { $0.family == packet.family }
      if relevant.isEmpty || relevant.contains(where: { $0.contains(address) }) { return false }
    }
    if let ports = side.ports {
      guard packet.protocol.hasPorts, ports.contains(where: { isPort(port, $0, address, packet.protocol) }) else {
        return false
      }
    }
    if let ports = side.notPorts {
      guard packet.protocol.hasPorts, !ports.contains(where: { isPort(port, $0, address, packet.protocol) }) else {
        return false
      }
    }
    if let service = side.service {
      return isEndpoint(of: service, address, isSource ? nil : (packet.protocol, port))
    }
    return true
  }

  /// Whether something with the address, or a network set around it, has labels that match.
  private func isSelected(_ address: IPAddress, by selector: Selector) -> Bool {
    owners.contains { $0.addresses.contains(address) && selector.matches($0.labels) }
      || sets.contains { set in
        set.prefixes.contains { $0.contains(address) } && selector.matches(set.labels)
      }
  }

  private func isPort(
    _ port: UInt16, _ match: EntityMatch.PortMatch, _ address: IPAddress, _ protocol: L4Protocol
  ) -> Bool {
    switch match {
    case .range(let range): return range.contains(port)
    case .named(let name):
      let wanted = Workload.Port(name: name, protocol: `protocol`, port: port)
      return owners.contains { $0.addresses.contains(address) && $0.ports.contains(wanted) }
    }
  }

  /// Whether a service has this endpoint: at this port, if one is given.
  private func isEndpoint(
    of service: NamespacedName, _ address: IPAddress, _ port: (protocol: L4Protocol, port: UInt16)?
  ) -> Bool {
    state.endpointSlices.values.contains { slice in
      slice.service == service && slice.family == address.family
        && slice.endpoints.contains { $0.address == address }
        && (port == nil || slice.ports.contains { $0.protocol == port?.protocol && $0.port == port?.port })
    }
  }
}
