/// One object of the desired state, of any kind.
public enum Resource: Hashable, Sendable {
  case namespace(Namespace)
  case node(Node)
  case workload(Workload)
  case endpointSlice(EndpointSlice)
  case service(Service)
  case serviceRange(ServiceRange)

  /// What the object is known by.
  public var key: Key {
    switch self {
    case .namespace(let namespace): .namespace(namespace.name)
    case .node(let node): .node(node.name)
    case .workload(let workload): .workload(workload.name)
    case .endpointSlice(let slice): .endpointSlice(slice.name)
    case .service(let service): .service(service.name)
    case .serviceRange(let range): .serviceRange(range.name)
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
    }
  }
}
