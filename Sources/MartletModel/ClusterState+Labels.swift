/// Labels as policies see them: an object's own, and those that it has from where it is.
///
/// | Label | Of |
/// |---|---|
/// | `projectcalico.org/namespace` | everything in a namespace: its name |
/// | `projectcalico.org/orchestrator` | workloads: `k8s` |
/// | `projectcalico.org/serviceaccount` | workloads: the service account's name |
/// | `pcns.KEY` | everything in a namespace: the namespace's label `KEY` |
/// | `pcsa.KEY` | workloads: the service account's label `KEY` |
/// | `pcns:KEY`, `pcsa:KEY` | the same, for selectors of namespaces and of service accounts |
/// | any other | whatever has a profile: the profile's label |
///
/// A label of the object itself comes before one that it would inherit; the first three, and those with a colon, which no
/// label of Kubernetes has, are nobody's to set. So a pod may not pass for one of another namespace.
public enum PolicyLabel {
  /// The namespace's name.
  public static let namespace = "projectcalico.org/namespace"
  /// What runs the workload.
  public static let orchestrator = "projectcalico.org/orchestrator"
  /// The service account's name.
  public static let serviceAccount = "projectcalico.org/serviceaccount"
  /// What precedes the key of a namespace's label.
  public static let namespacePrefix = "pcns."
  /// What precedes the key of a service account's label.
  public static let serviceAccountPrefix = "pcsa."
  /// The same where nothing but the namespace can have set it.
  public static let ownNamespacePrefix = "pcns:"
  /// The same where nothing but the service account can have set it.
  public static let ownServiceAccountPrefix = "pcsa:"

  /// `labels` without those that are nobody's to set.
  static func settable(_ labels: [String: String]) -> [String: String] {
    guard labels.keys.contains(where: isReserved) else { return labels }
    return labels.filter { !isReserved($0.key) }
  }

  private static func isReserved(_ key: String) -> Bool {
    key == namespace || key == orchestrator || key == serviceAccount || key.hasPrefix(ownNamespacePrefix)
      || key.hasPrefix(ownServiceAccountPrefix)
  }
}

extension ClusterState {
  /// The labels that selectors see of a workload.
  public func labels(of workload: Workload) -> [String: String] {
    var labels = PolicyLabel.settable(workload.labels)
    inherit(from: workload.name.namespace, &labels)
    let account = NamespacedName(namespace: workload.name.namespace, name: workload.serviceAccount)
    for (key, value) in (serviceAccounts[account]?.labels ?? [:]).naming(account.name) {
      labels.merge([PolicyLabel.serviceAccountPrefix + key: value]) { own, _ in own }
      labels[PolicyLabel.ownServiceAccountPrefix + key] = value
    }
    inherit(from: profiles[Profile.ofServiceAccount(account)], &labels)
    labels[PolicyLabel.orchestrator] = "k8s"
    labels[PolicyLabel.serviceAccount] = workload.serviceAccount
    return labels
  }

  /// The labels that selectors see of a network set.
  public func labels(of set: NetworkSet) -> [String: String] {
    var labels = PolicyLabel.settable(set.labels)
    if !set.name.namespace.isEmpty { inherit(from: set.name.namespace, &labels) }
    return labels
  }

  /// The labels that selectors see of a host endpoint.
  public func labels(of endpoint: HostEndpoint) -> [String: String] {
    var labels = PolicyLabel.settable(endpoint.labels)
    for profile in endpoint.profiles { inherit(from: profiles[profile], &labels) }
    return labels
  }

  private func inherit(from profile: Profile?, _ labels: inout [String: String]) {
    labels.merge(PolicyLabel.settable(profile?.labels ?? [:])) { own, _ in own }
  }

  private func inherit(from namespace: String, _ labels: inout [String: String]) {
    for (key, value) in (namespaces[namespace]?.labels ?? [:]).naming(namespace) {
      labels.merge([PolicyLabel.namespacePrefix + key: value]) { own, _ in own }
      labels[PolicyLabel.ownNamespacePrefix + key] = value
    }
    inherit(from: profiles[Profile.ofNamespace(namespace)], &labels)
    labels[PolicyLabel.namespace] = namespace
  }
}

extension [String: String] {
  /// With the label that Calico's profiles of namespaces and service accounts add.
  fileprivate func naming(_ name: String) -> [String: String] {
    merging(["projectcalico.org/name": name]) { _, name in name }
  }
}
