import MartletNetworking

extension HostEndpoint {
  /// What follows the node's name in the name of its automatic host endpoint.
  public static let automaticSuffix = "-auto-hep"
  /// The label that an automatic host endpoint has besides its node's, and its value.
  public static let automaticLabel = (key: "projectcalico.org/created-by", value: "calico-kube-controllers")

  /// The host endpoint that `node` has without anybody writing it: all of its interfaces, known by the node's addresses
  /// and labels, with the profile that allows everything, so that it changes nothing until a policy selects it.
  public init(automaticFor node: Node) {
    var addresses: [IPAddress] = []
    for address in node.addresses.map(\.address) where !addresses.contains(address) { addresses.append(address) }
    var labels = node.labels
    labels[Self.automaticLabel.key] = Self.automaticLabel.value
    self.init(
      name: node.name + Self.automaticSuffix, labels: labels, node: node.name, interface: Self.everyInterface,
      expectedAddresses: addresses, profiles: [Profile.defaultAllow.name])
  }
}

extension ClusterState {
  /// The automatic host endpoint of each node, by name, without those whose name somebody has given to one of
  /// ``hostEndpoints``: that one counts.
  public var automaticHostEndpoints: [String: HostEndpoint] {
    var endpoints: [String: HostEndpoint] = [:]
    for node in nodes.values {
      let endpoint = HostEndpoint(automaticFor: node)
      if hostEndpoints[endpoint.name] == nil { endpoints[endpoint.name] = endpoint }
    }
    return endpoints
  }
}
