/// A kind of API object that is none of ours: whether that is as it should be.
enum UnknownKind {
  private static let groups: [String: Set<String>] = [
    "networking.k8s.io": ["IPAddress", "Ingress", "IngressClass", "ServiceCIDR"],
    "policy.networking.k8s.io": [],
    "projectcalico.org": calicoKinds,
    "crd.projectcalico.org": calicoKinds,
  ]

  /// Kinds of Calico's that say nothing about policy.
  private static let calicoKinds: Set = [
    "BGPConfiguration", "BGPFilter", "BGPPeer", "BlockAffinity", "CalicoNodeStatus", "ClusterInformation",
    "FelixConfiguration", "IPAMBlock", "IPAMConfig", "IPAMConfiguration", "IPAMHandle", "IPPool", "IPReservation",
    "KubeControllersConfiguration", "Node", "WorkloadEndpoint",
  ]

  /// Whether objects of this kind may be a policy that is written wrongly: their group is one of policies, and the kind
  /// none of the group's others.
  static func mayBePolicy(apiVersion: String, kind: String) -> Bool {
    let group = ObjectKind.group(of: apiVersion)
    if kind == "NetworkPolicy", group == "extensions" { return true }
    return groups[group].map { !$0.contains(kind) } ?? false
  }
}
