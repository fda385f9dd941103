import Model

/// A kind of API object that makes part of the desired state.
enum ObjectKind: String, CaseIterable {
  case service = "Service"
  case endpointSlice = "EndpointSlice"
  case pod = "Pod"
  case node = "Node"
  case namespace = "Namespace"
  case serviceCIDR = "ServiceCIDR"

  init?(apiVersion: String, kind: String) {
    guard let known = ObjectKind(rawValue: kind), known.apiVersion == apiVersion else { return nil }
    self = known
  }

  private var apiVersion: String {
    switch self {
    case .endpointSlice: "discovery.k8s.io/v1"
    case .serviceCIDR: "networking.k8s.io/v1"
    case .service, .pod, .node, .namespace: "v1"
    }
  }

  /// What an object of this kind is known by.
  func key(_ metadata: ObjectMetadata) -> Resource.Key {
    switch self {
    case .service: .service(metadata.namespacedName)
    case .endpointSlice: .endpointSlice(metadata.namespacedName)
    case .pod: .workload(metadata.namespacedName)
    case .node: .node(metadata.name)
    case .namespace: .namespace(metadata.name)
    case .serviceCIDR: .serviceRange(metadata.name)
    }
  }

  /// The kind and name in words, as in `Service default/web`.
  func description(_ metadata: ObjectMetadata) -> String {
    switch self {
    case .service, .endpointSlice, .pod: "\(rawValue) \(metadata.namespacedName)"
    case .node, .namespace, .serviceCIDR: "\(rawValue) \(metadata.name)"
    }
  }

  /// The object; `nil` if it is sound but has no place in the state.
  func decode(_ object: ManifestValue) throws(FieldError) -> Resource? {
    switch self {
    case .service: .service(try ValueDecoder.service.decode(object))
    case .endpointSlice: try ValueDecoder.endpointSlice.decode(object).map(Resource.endpointSlice)
    case .pod: .workload(try ValueDecoder.pod.decode(object))
    case .node: .node(try ValueDecoder.node.decode(object))
    case .namespace: .namespace(try ValueDecoder.namespace.decode(object))
    case .serviceCIDR: .serviceRange(try ValueDecoder.serviceCIDR.decode(object))
    }
  }
}
