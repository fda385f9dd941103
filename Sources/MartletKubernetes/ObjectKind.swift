import MartletModel

/// A kind of API object that makes part of the desired state.
///
/// Its raw value is what messages call it: the kind, but where two groups use the same word.
enum ObjectKind: String, CaseIterable {
  case service = "Service"
  case endpointSlice = "EndpointSlice"
  case pod = "Pod"
  case node = "Node"
  case namespace = "Namespace"
  case serviceCIDR = "ServiceCIDR"
  case serviceAccount = "ServiceAccount"
  case networkPolicy = "NetworkPolicy"
  case clusterNetworkPolicy = "ClusterNetworkPolicy"
  case adminNetworkPolicy = "AdminNetworkPolicy"
  case baselineAdminNetworkPolicy = "BaselineAdminNetworkPolicy"
  case calicoNetworkPolicy = "CalicoNetworkPolicy"
  case globalNetworkPolicy = "GlobalNetworkPolicy"
  case stagedNetworkPolicy = "StagedNetworkPolicy"
  case stagedGlobalNetworkPolicy = "StagedGlobalNetworkPolicy"
  case stagedKubernetesNetworkPolicy = "StagedKubernetesNetworkPolicy"
  case tier = "Tier"
  case networkSet = "NetworkSet"
  case globalNetworkSet = "GlobalNetworkSet"
  case hostEndpoint = "HostEndpoint"
  case profile = "Profile"

  private struct Written: Hashable {
    let apiVersion: String
    let kind: String
  }

  private static let byWriting: [Written: ObjectKind] = {
    var kinds: [Written: ObjectKind] = [:]
    for kind in allCases {
      for version in kind.apiVersions { kinds[Written(apiVersion: version, kind: kind.kind)] = kind }
    }
    return kinds
  }()

  init?(apiVersion: String, kind: String) {
    guard let known = Self.byWriting[Written(apiVersion: apiVersion, kind: kind)] else { return nil }
    self = known
  }

  /// The kind of that name in the same group, if `apiVersion` is none of its versions.
  init?(ofAnotherVersion apiVersion: String, kind: String) {
    let group = Self.group(of: apiVersion)
    let known = Self.allCases.first { candidate in
      candidate.kind == kind && candidate.apiVersions.contains { Self.group(of: $0) == group }
    }
    guard let known else { return nil }
    self = known
  }

  /// The API group that a version is of.
  static func group(of apiVersion: String) -> String { apiVersion.split(separator: "/").first.map(String.init) ?? "" }

  /// The kind that is written like `kind` but for the case of its letters.
  static func meant(by kind: String) -> String? {
    allCases.map(\.kind).first { $0 != kind && $0.lowercased() == kind.lowercased() }
  }

  /// What is written in the object.
  private var kind: String {
    self == .calicoNetworkPolicy ? "NetworkPolicy" : rawValue
  }

  var apiVersions: [String] {
    switch self {
    case .endpointSlice: ["discovery.k8s.io/v1"]
    case .serviceCIDR, .networkPolicy: ["networking.k8s.io/v1"]
    case .service, .pod, .node, .namespace, .serviceAccount: ["v1"]
    case .clusterNetworkPolicy: ["policy.networking.k8s.io/v1alpha2", "policy.networking.k8s.io/v1beta1"]
    case .adminNetworkPolicy, .baselineAdminNetworkPolicy: ["policy.networking.k8s.io/v1alpha1"]
    case .calicoNetworkPolicy, .globalNetworkPolicy, .stagedNetworkPolicy, .stagedGlobalNetworkPolicy,
      .stagedKubernetesNetworkPolicy, .tier, .networkSet, .globalNetworkSet, .hostEndpoint, .profile:
      ["projectcalico.org/v3", "crd.projectcalico.org/v1"]
    }
  }

  /// The kind of policy that it is, if it is one.
  private var policyKind: PolicyName.Kind? { PolicyName.Kind(rawValue: rawValue) }
  var isPolicy: Bool { policyKind != nil }

  private var isNamespaced: Bool {
    switch self {
    case .service, .endpointSlice, .pod, .serviceAccount, .networkPolicy, .calicoNetworkPolicy, .stagedNetworkPolicy,
      .stagedKubernetesNetworkPolicy, .networkSet:
      true
    case .node, .namespace, .serviceCIDR, .clusterNetworkPolicy, .adminNetworkPolicy, .baselineAdminNetworkPolicy,
      .globalNetworkPolicy, .stagedGlobalNetworkPolicy, .tier, .globalNetworkSet, .hostEndpoint, .profile:
      false
    }
  }

  /// The object's name, without a namespace if it is of the whole cluster.
  private func name(_ metadata: ObjectMetadata) -> NamespacedName {
    isNamespaced ? metadata.namespacedName : NamespacedName(namespace: "", name: metadata.name)
  }

  /// What an object of this kind is known by.
  func key(_ metadata: ObjectMetadata) -> Resource.Key {
    let name = name(metadata)
    if let policyKind { return .policy(PolicyName(policyKind, name)) }
    return switch self {
    case .service: .service(name)
    case .endpointSlice: .endpointSlice(name)
    case .pod: .workload(name)
    case .serviceAccount: .serviceAccount(name)
    case .networkSet, .globalNetworkSet: .networkSet(name)
    case .node: .node(name.name)
    case .namespace: .namespace(name.name)
    case .serviceCIDR: .serviceRange(name.name)
    case .tier: .tier(name.name)
    case .hostEndpoint: .hostEndpoint(name.name)
    default: .profile(name.name)
    }
  }

  /// The kind and name in words, as in `Service default/web`.
  func description(_ metadata: ObjectMetadata) -> String { "\(rawValue) \(name(metadata))" }
}

// MARK: - Decoding

extension ObjectKind {
  /// The object; `nil` if it is sound but has no place in the state.
  ///
  /// - Parameter problems: Set to what is wrong with it. If there are errors among it, the object is what may be put in
  ///   force in place of nothing, but not in place of a version without errors.
  func decode(_ object: ManifestValue, _ problems: inout FieldProblems) throws(FieldError) -> Resource? {
    if let policyKind { return .policy(try Self.policy(object, policyKind, &problems)) }
    return switch self {
    case .service: .service(try ValueDecoder.service.decode(object))
    case .endpointSlice: try EndpointSlice.kubernetes(object, &problems).map(Resource.endpointSlice)
    case .pod: .workload(try Workload.pod(object, &problems))
    case .node: .node(try ValueDecoder.node.decode(object))
    case .namespace: .namespace(try ValueDecoder.namespace.decode(object))
    case .serviceCIDR: .serviceRange(try ValueDecoder.serviceCIDR.decode(object))
    case .serviceAccount: .serviceAccount(try ValueDecoder.serviceAccount.decode(object))
    case .tier: try Tier.calico(object, &problems).map(Resource.tier)
    case .networkSet: .networkSet(try NetworkSet.calico(object, isGlobal: false, &problems))
    case .globalNetworkSet: .networkSet(try NetworkSet.calico(object, isGlobal: true, &problems))
    case .hostEndpoint: try HostEndpoint.calico(object, &problems).map(Resource.hostEndpoint)
    default: .profile(try Profile.calico(object, &problems))
    }
  }

  private static func policy(
    _ object: ManifestValue, _ kind: PolicyName.Kind, _ problems: inout FieldProblems
  ) throws(FieldError) -> Policy {
    switch kind {
    case .networkPolicy, .stagedKubernetesNetworkPolicy: try .networkPolicy(object, as: kind, &problems)
    case .clusterNetworkPolicy: try .clusterNetworkPolicy(object, &problems)
    case .adminNetworkPolicy: try .adminNetworkPolicy(object, &problems)
    case .baselineAdminNetworkPolicy: try .baselineAdminNetworkPolicy(object, &problems)
    case .calicoNetworkPolicy, .globalNetworkPolicy, .stagedNetworkPolicy, .stagedGlobalNetworkPolicy:
      try .calico(object, as: kind, &problems)
    }
  }
}
