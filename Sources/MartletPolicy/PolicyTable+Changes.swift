import MartletModel
import MartletNetworking

extension PolicyTable {
  /// Makes one change. What it makes no difference to is not looked at.
  func apply(_ change: StateChange) {
    let before = state[change.key]
    if case .set(let resource) = change, resource == before { return }
    if case .removed = change, before == nil { return }
    state.apply(change)
    switch change.key {
    case .namespace(let name): renewLabels(ofNamespace: name)
    case .serviceAccount(let name):
      for workload in state.workloads.values
      where workload.name.namespace == name.namespace && workload.serviceAccount == name.name {
        renew(workload: workload.name)
      }
    case .profile(let name): renew(profile: name)
    case .workload(let name): renew(workload: name)
    case .hostEndpoint(let name): renew(hostEndpoint: name)
    case .node(let name): renew(node: name)
    case .networkSet(let name):
      var old: NetworkSet?
      if case .networkSet(let set) = before { old = set }
      renew(networkSet: name, was: old)
    case .endpointSlice:
      var (old, new): (EndpointSlice?, EndpointSlice?)
      if case .endpointSlice(let slice) = before { old = slice }
      if case .endpointSlice(let slice) = state[change.key] { new = slice }
      renew(slice: new, was: old)
    case .tier(let name): renew(tier: name)
    case .policy(let name): renew(policy: name)
    case .service, .serviceRange: break
    }
  }

  // MARK: - Labels

  private func renewLabels(ofNamespace name: String) {
    for workload in state.workloads.keys where workload.namespace == name { renew(workload: workload) }
    for set in state.networkSets.values where set.name.namespace == name { renew(networkSet: set.name, was: set) }
    // A host endpoint has the profile of a namespace only if there is that namespace.
    for endpoint in state.hostEndpoints.values where endpoint.profiles.contains(Profile.ofNamespace(name)) {
      renew(hostEndpoint: endpoint.name)
    }
  }

  private func renew(profile name: String) {
    catalog.set(state.profiles[name], named: name)
    sets.update { $0.profiles.contains(name) }
    for workload in state.workloads.values
    where name == Profile.ofNamespace(workload.name.namespace)
      || name
        == Profile.ofServiceAccount(
          NamespacedName(namespace: workload.name.namespace, name: workload.serviceAccount))
    {
      renew(workload: workload.name)
    }
    for set in state.networkSets.values where name == Profile.ofNamespace(set.name.namespace) {
      renew(networkSet: set.name, was: set)
    }
    for endpoint in state.hostEndpoints.values where endpoint.profiles.contains(name) {
      renew(hostEndpoint: endpoint.name)
    }
  }

  // MARK: - Endpoints

  private func renew(workload name: NamespacedName) {
    let points = PolicyDirection.allCases.map { PolicyPoint.workload(name, $0) }
    guard let workload = state.workloads[name], !workload.usesHostNetwork, !workload.isFinished else {
      self.points.remove(points)
      return set(.workload(name), nil)
    }
    let labels = state.labels(of: workload)
    let entity = Entity(kind: .endpoint, labels: labels, addresses: workload.addresses, ports: workload.ports)
    set(.workload(name), workload.hasOwnAddresses ? entity : nil)
    if workload.node == nodeName {
      self.points.set(points, labels: labels, profiles: profiles(of: workload))
    } else {
      self.points.remove(points)
    }
  }

  private func profiles(of workload: Workload) -> [String] {
    let namespace = Profile.ofNamespace(workload.name.namespace)
    let account = Profile.ofServiceAccount(
      NamespacedName(namespace: workload.name.namespace, name: workload.serviceAccount))
    return [catalog.hasProfile(namespace) ? namespace : PolicyCatalog.namespaceProfile.name]
      + (catalog.hasProfile(account) ? [account] : [])
  }

  private func renew(hostEndpoint name: String) {
    let points = PolicyPoint.HostStage.allCases.map { PolicyPoint.host(name: name, $0) }
    guard let endpoint = state.hostEndpoints[name] else {
      self.points.remove(points)
      return set(.hostEndpoint(name), nil)
    }
    let labels = state.labels(of: endpoint)
    set(
      .hostEndpoint(name),
      Entity(kind: .endpoint, labels: labels, addresses: endpoint.expectedAddresses, ports: endpoint.ports))
    if endpoint.node == nodeName {
      self.points.set(points, labels: labels, profiles: profiles(of: endpoint))
    } else {
      self.points.remove(points)
    }
  }

  private func profiles(of endpoint: HostEndpoint) -> [String] {
    let namespaces = Set(state.namespaces.keys.map(Profile.ofNamespace))
    return endpoint.profiles.compactMap { name in
      if catalog.hasProfile(name) { return name }
      return namespaces.contains(name) ? PolicyCatalog.namespaceProfile.name : nil
    }
  }

  private func renew(node name: String) {
    let node = state.nodes[name]
    set(
      .node(name),
      node.map { Entity(kind: .node, labels: $0.labels, addresses: $0.addresses.map(\.address), ports: []) })
  }

  // MARK: - Policies

  private func renew(policy name: PolicyName) {
    let old = catalog[name].map { ($0.policy, points.points(matching: $0.policy.subject.selector)) }
    if let entry = catalog[name] { points.remove(entry) }
    points.forgetLists()
    guard let policy = state.policies[name] else {
      points.renew(old?.1 ?? [])
      return catalog.remove(name)
    }
    if !catalog.hasTier(policy.tier) {
      report.add(PolicyProblem(name, .unknownTier(policy.tier)))
    }
    let entry = catalog.set(policy)
    points.insert(entry)
    let matching = points.points(matching: policy.subject.selector)
    if old.map({ !$0.0.hasSamePlace(as: policy) }) ?? true {
      points.renew(matching.union(old?.1 ?? []))
    }
    sets.update(policy: entry.number)
  }

  private func renew(tier name: String) {
    catalog.set(state.tiers[name], named: name)
    points.forgetLists()
    points.renew(points.names)
    sets.update { $0.tiers.contains { $0.tier == name } }
  }
}

extension Policy {
  /// Whether `other` applies to the same endpoints, at the same place among the others.
  fileprivate func hasSamePlace(as other: Policy) -> Bool {
    tier == other.tier && order == other.order && subject == other.subject && directions == other.directions
      && stage == other.stage && isStaged == other.isStaged
  }
}
