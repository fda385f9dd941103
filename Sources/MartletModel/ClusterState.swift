/// All that is desired of a cluster: every object by its name.
///
/// A value: keep the state last applied, build or receive the next, and act on ``changes(to:)``.
///
/// ```swift
/// let changes = running.changes(to: wanted)
/// for problem in dataPlane.apply(changes) { log(problem) }   // together: packets see all of them or none
/// for change in changes { running.apply(change) }
/// ```
///
/// `apply` costs O(1), `changes` a comparison of every object.
public struct ClusterState: Hashable, Sendable {
  /// The namespaces.
  public var namespaces: [String: Namespace] = [:]
  /// The nodes.
  public var nodes: [String: Node] = [:]
  /// The workloads.
  public var workloads: [NamespacedName: Workload] = [:]
  /// The endpoint slices.
  public var endpointSlices: [NamespacedName: EndpointSlice] = [:]
  /// The services.
  public var services: [NamespacedName: Service] = [:]
  /// The ranges of cluster IPs.
  public var serviceRanges: [String: ServiceRange] = [:]
  /// The service accounts.
  public var serviceAccounts: [NamespacedName: ServiceAccount] = [:]
  /// The profiles that somebody has written, in place of those that are there by themselves or besides them.
  public var profiles: [String: Profile] = [:]
  /// The tiers besides ``Tier/builtIn``.
  public var tiers: [String: Tier] = [:]
  /// The network sets.
  public var networkSets: [NamespacedName: NetworkSet] = [:]
  /// The host endpoints.
  public var hostEndpoints: [String: HostEndpoint] = [:]
  /// The policies.
  public var policies: [PolicyName: Policy] = [:]

  /// A cluster without any object.
  public init() {}

  /// A cluster with these objects. Of several with the same key the last counts.
  public init(_ resources: some Sequence<Resource>) {
    for resource in resources { apply(.set(resource)) }
  }

  /// The object known by `key`.
  public subscript(key: Resource.Key) -> Resource? {
    switch key {
    case .namespace(let name): namespaces[name].map(Resource.namespace)
    case .node(let name): nodes[name].map(Resource.node)
    case .workload(let name): workloads[name].map(Resource.workload)
    case .endpointSlice(let name): endpointSlices[name].map(Resource.endpointSlice)
    case .service(let name): services[name].map(Resource.service)
    case .serviceRange(let name): serviceRanges[name].map(Resource.serviceRange)
    case .serviceAccount(let name): serviceAccounts[name].map(Resource.serviceAccount)
    case .profile(let name): profiles[name].map(Resource.profile)
    case .tier(let name): tiers[name].map(Resource.tier)
    case .networkSet(let name): networkSets[name].map(Resource.networkSet)
    case .hostEndpoint(let name): hostEndpoints[name].map(Resource.hostEndpoint)
    case .policy(let name): policies[name].map(Resource.policy)
    }
  }

  /// Makes the change. To set an object to what it is, or to remove one that isn't there, does nothing.
  public mutating func apply(_ change: StateChange) {
    switch change {
    case .set(.namespace(let namespace)): namespaces[namespace.name] = namespace
    case .set(.node(let node)): nodes[node.name] = node
    case .set(.workload(let workload)): workloads[workload.name] = workload
    case .set(.endpointSlice(let slice)): endpointSlices[slice.name] = slice
    case .set(.service(let service)): services[service.name] = service
    case .set(.serviceRange(let range)): serviceRanges[range.name] = range
    case .set(.serviceAccount(let account)): serviceAccounts[account.name] = account
    case .set(.profile(let profile)): profiles[profile.name] = profile
    case .set(.tier(let tier)): tiers[tier.name] = tier
    case .set(.networkSet(let set)): networkSets[set.name] = set
    case .set(.hostEndpoint(let endpoint)): hostEndpoints[endpoint.name] = endpoint
    case .set(.policy(let policy)): policies[policy.name] = policy
    case .removed(.namespace(let name)): namespaces[name] = nil
    case .removed(.node(let name)): nodes[name] = nil
    case .removed(.workload(let name)): workloads[name] = nil
    case .removed(.endpointSlice(let name)): endpointSlices[name] = nil
    case .removed(.service(let name)): services[name] = nil
    case .removed(.serviceRange(let name)): serviceRanges[name] = nil
    case .removed(.serviceAccount(let name)): serviceAccounts[name] = nil
    case .removed(.profile(let name)): profiles[name] = nil
    case .removed(.tier(let name)): tiers[name] = nil
    case .removed(.networkSet(let name)): networkSets[name] = nil
    case .removed(.hostEndpoint(let name)): hostEndpoints[name] = nil
    case .removed(.policy(let name)): policies[name] = nil
    }
  }

  /// What turns this state into `other`, each object once, in an order that depends on nothing but the two states.
  ///
  /// An object comes after those it may refer to: namespaces, nodes, workloads, endpoint slices, services, and
  /// policies after all that they select. What is removed comes first and in the opposite order.
  public func changes(to other: ClusterState) -> [StateChange] {
    let differences = [
      difference(\.namespaces, other, Resource.namespace, Resource.Key.namespace),
      difference(\.nodes, other, Resource.node, Resource.Key.node),
      difference(\.workloads, other, Resource.workload, Resource.Key.workload),
      difference(\.endpointSlices, other, Resource.endpointSlice, Resource.Key.endpointSlice),
      difference(\.services, other, Resource.service, Resource.Key.service),
      difference(\.serviceRanges, other, Resource.serviceRange, Resource.Key.serviceRange),
      difference(\.serviceAccounts, other, Resource.serviceAccount, Resource.Key.serviceAccount),
      difference(\.profiles, other, Resource.profile, Resource.Key.profile),
      difference(\.tiers, other, Resource.tier, Resource.Key.tier),
      difference(\.networkSets, other, Resource.networkSet, Resource.Key.networkSet),
      difference(\.hostEndpoints, other, Resource.hostEndpoint, Resource.Key.hostEndpoint),
      difference(\.policies, other, Resource.policy, Resource.Key.policy),
    ]
    return differences.reversed().flatMap(\.removed) + differences.flatMap(\.set)
  }

  private func difference<Name: Hashable & Comparable, Object: Equatable>(
    _ objects: KeyPath<ClusterState, [Name: Object]>, _ other: ClusterState,
    _ resource: (Object) -> Resource, _ key: (Name) -> Resource.Key
  ) -> (removed: [StateChange], set: [StateChange]) {
    let before = self[keyPath: objects]
    let after = other[keyPath: objects]
    let removed = before.keys.filter { after[$0] == nil }.sorted()
    let set = after.filter { before[$0.key] != $0.value }.sorted { $0.key < $1.key }
    return (removed.map { .removed(key($0)) }, set.map { .set(resource($0.value)) })
  }
}
