/// One object of the desired state, of any kind.
public enum Resource: Hashable, Sendable {
  case namespace(Namespace)
  case node(Node)
  case workload(Workload)
  case endpointSlice(EndpointSlice)
  case service(Service)
  case serviceRange(ServiceRange)
  case serviceAccount(ServiceAccount)
  case profile(Profile)
  case tier(Tier)
  case networkSet(NetworkSet)
  case hostEndpoint(HostEndpoint)
  case policy(Policy)

  /// What the object is known by.
  public var key: Key {
    switch self {
    case .namespace(let namespace): .namespace(namespace.name)
    case .node(let node): .node(node.name)
    case .workload(let workload): .workload(workload.name)
    case .endpointSlice(let slice): .endpointSlice(slice.name)
    case .service(let service): .service(service.name)
    case .serviceRange(let range): .serviceRange(range.name)
    case .serviceAccount(let account): .serviceAccount(account.name)
    case .profile(let profile): .profile(profile.name)
    case .tier(let tier): .tier(tier.name)
    case .networkSet(let set): .networkSet(set.name)
    case .hostEndpoint(let endpoint): .hostEndpoint(endpoint.name)
    case .policy(let policy): .policy(policy.name)
    }
  }

  /// What an object is known by: its kind and name.
  public enum Key: Hashable, Sendable {
    case namespace(String)
    case node(String)
    case workload(NamespacedName)
    case endpointSlice(NamespacedName)
    case service(NamespacedName)
    case serviceRange(String)
    case serviceAccount(NamespacedName)
    case profile(String)
    case tier(String)
    case networkSet(NamespacedName)
    case hostEndpoint(String)
    case policy(PolicyName)
  }
}

extension Resource.Key: CustomStringConvertible {
  /// The kind and name in words: `service default/web`.
  public var description: String {
    switch self {
    case .namespace(let name): "namespace \(name)"
    case .node(let name): "node \(name)"
    case .workload(let name): "workload \(name)"
    case .endpointSlice(let name): "endpoint slice \(name)"
    case .service(let name): "service \(name)"
    case .serviceRange(let name): "service range \(name)"
    case .serviceAccount(let name): "service account \(name)"
    case .profile(let name): "profile \(name)"
    case .tier(let name): "tier \(name)"
    case .networkSet(let name): "network set \(name)"
    case .hostEndpoint(let name): "host endpoint \(name)"
    case .policy(let name): "\(name)"
    }
  }
}
