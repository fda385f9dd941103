import MartletNetworking

/// Policies, and what they need, as somebody applies them.
enum PolicyManifest {
  private static let calico: JSON = "projectcalico.org/v3"

  /// A `NetworkPolicy` of Kubernetes for one pod of the namespace, or for all.
  static func kubernetes(_ name: String, pod: String? = nil, _ spec: JSON) -> JSON {
    let subject: JSON = pod.map { ["matchLabels": ["pod": .string($0)]] } ?? [:]
    let fields: JSON = ["podSelector": subject]
    return [
      "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
      "metadata": ["name": .string(name), "namespace": "default"], "spec": fields.merging(spec),
    ]
  }

  /// A `GlobalNetworkPolicy` of Calico.
  static func global(_ name: String, order: Int, selector: String, _ spec: JSON) -> JSON {
    let fields: JSON = ["order": .number(order), "selector": .string(selector)]
    return [
      "apiVersion": calico, "kind": "GlobalNetworkPolicy", "metadata": ["name": .string(name)],
      "spec": fields.merging(spec),
    ]
  }

  static func tier(_ name: String, order: Int) -> JSON {
    ["apiVersion": calico, "kind": "Tier", "metadata": ["name": .string(name)], "spec": ["order": .number(order)]]
  }

  static func networkSet(_ name: String, role: String, _ nets: [String]) -> JSON {
    [
      "apiVersion": calico, "kind": "GlobalNetworkSet",
      "metadata": ["name": .string(name), "labels": ["role": .string(role)]],
      "spec": ["nets": .list(nets.map { .string($0) })],
    ]
  }

  /// Node 1's interface to the network, with label `host: n1`.
  static let hostEndpoint: JSON = [
    "apiVersion": calico, "kind": "HostEndpoint", "metadata": ["name": "n1-eth0", "labels": ["host": "n1"]],
    "spec": ["node": "n1", "interfaceName": "eth0"],
  ]

  /// A rule of Calico's.
  static func rule(_ action: String, tcp port: UInt16? = nil, source: JSON? = nil) -> JSON {
    var rule: JSON = ["action": .string(action)]
    if let port {
      rule["protocol"] = "TCP"
      rule["destination"] = ["ports": [.number(Int(port))]]
    }
    rule["source"] = source
    return rule
  }

  /// Addresses of one host, for an `ipBlock` or a list of nets.
  static func block(_ address: IPAddress) -> String { "\(address)/\(address.isIPv4 ? 32 : 128)" }
}
