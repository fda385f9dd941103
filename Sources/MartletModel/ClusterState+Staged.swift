extension ClusterState {
  /// The state as it would be if what is staged came into force: each staged policy takes the place of the policy of its
  /// kind and name, or removes it. `nil` if nothing is staged.
  public var withStagedPolicies: ClusterState? {
    let staged = policies.values.filter(\.isStaged)
    guard !staged.isEmpty else { return nil }
    var state = self
    for var policy in staged where policy.stagesDeletion || !policy.directions.isEmpty {
      if let enforced = policy.name.kind.enforced { state.policies[PolicyName(enforced, policy.name.name)] = nil }
      // Under its own name, by which reports tell it.
      policy.isStaged = false
      state.policies[policy.name] = policy
    }
    return state
  }
}

extension PolicyName.Kind {
  /// The kind that a staged one stands for.
  fileprivate var enforced: PolicyName.Kind? {
    switch self {
    case .stagedNetworkPolicy: .calicoNetworkPolicy
    case .stagedGlobalNetworkPolicy: .globalNetworkPolicy
    case .stagedKubernetesNetworkPolicy: .networkPolicy
    default: nil
    }
  }
}
