import MartletModel
import Testing

/// The state as it would be if what is staged came into force.
@Suite struct StagedPolicyTests {
  private func policy(
    _ kind: PolicyName.Kind, _ name: String, isStaged: Bool = false, _ change: (inout Policy) -> Void = { _ in }
  ) -> Policy {
    var policy = Policy(
      name: PolicyName(kind, NamespacedName(namespace: "", name: name)), subject: Policy.Subject(.all),
      directions: [.ingress], isStaged: isStaged)
    change(&policy)
    return policy
  }

  private func enforced(_ policies: Policy...) -> [PolicyName: Policy]? {
    var state = ClusterState()
    for policy in policies { state.apply(.set(.policy(policy))) }
    return state.withStagedPolicies?.policies
  }

  @Test func `Where nothing is staged there is nothing to report`() {
    #expect(enforced(policy(.globalNetworkPolicy, "a")) == nil)
  }

  @Test func `A staged policy takes the place of the one of its kind and name`() throws {
    let policies = try #require(
      enforced(
        policy(.globalNetworkPolicy, "a"), policy(.globalNetworkPolicy, "b"), policy(.networkPolicy, "a"),
        policy(.stagedGlobalNetworkPolicy, "a", isStaged: true) { $0.order = 7 }))
    #expect(policies.values.allSatisfy { !$0.isStaged })
    #expect(
      Set(policies.keys) == [
        policy(.stagedGlobalNetworkPolicy, "a").name, policy(.globalNetworkPolicy, "b").name,
        policy(.networkPolicy, "a").name,
      ])
    #expect(policies[policy(.stagedGlobalNetworkPolicy, "a").name]?.order == 7)
  }

  @Test func `One that stages a deletion removes it, and one to be ignored does nothing`() throws {
    let deleting = policy(.stagedGlobalNetworkPolicy, "a", isStaged: true) {
      $0.directions = []
      $0.stagesDeletion = true
    }
    let ignored = policy(.stagedGlobalNetworkPolicy, "b", isStaged: true) { $0.directions = [] }
    let policies = try #require(
      enforced(policy(.globalNetworkPolicy, "a"), policy(.globalNetworkPolicy, "b"), deleting, ignored))
    #expect(policies.values.filter { !$0.directions.isEmpty }.map(\.name.name.name) == ["b"])
  }
}
