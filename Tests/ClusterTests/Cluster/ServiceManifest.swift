import MartletNetworking

/// A Service as somebody applies it.
struct ServiceManifest {
  /// A port of the service.
  struct Port {
    var number: Int
    var `protocol` = "TCP"
    var name: String?
    var nodePort: Int?

    init(_ number: Int, _ protocol: String = "TCP", name: String? = nil, nodePort: Int? = nil) {
      (self.number, self.protocol, self.name, self.nodePort) = (number, `protocol`, name, nodePort)
    }

    var json: JSON {
      var json: JSON = ["port": .number(number), "protocol": .string(`protocol`), "targetPort": 8080]
      if let name { json["name"] = .string(name) }
      if let nodePort { json["nodePort"] = .number(nodePort) }
      return json
    }
  }

  var name = "web"
  var namespace = "default"
  /// `nil` for a service that leaves it to the API server.
  var type: String? = "ClusterIP"
  var clusterIPs = DualAddress.web.both
  var ports = [Port(80)]
  var labels: [String: JSON] = [:]
  var annotations: [String: JSON] = [:]
  /// Further fields of the specification.
  var spec: JSON = [:]
  /// Addresses of the load balancer.
  var ingress: [JSON] = []
  /// Further fields of the object.
  var fields: JSON = [:]

  var json: JSON {
    var spec: JSON = ["ports": .list(ports.map(\.json)), "selector": ["app": .string(name)]]
    if let type { spec["type"] = .string(type) }
    if let first = clusterIPs.first {
      spec["clusterIP"] = "\(first)"
      spec["clusterIPs"] = .list(clusterIPs.map { "\($0)" })
      spec["ipFamilies"] = .list(clusterIPs.map { .string($0.family.rawValue) })
      spec["ipFamilyPolicy"] = clusterIPs.count > 1 ? "PreferDualStack" : "SingleStack"
    }
    let object: JSON = [
      "apiVersion": "v1", "kind": "Service",
      "metadata": [
        "name": .string(name), "namespace": .string(namespace), "labels": .object(labels),
        "annotations": .object(annotations),
      ],
      "spec": spec.merging(self.spec), "status": ["loadBalancer": ["ingress": .list(ingress)]],
    ]
    return object.merging(fields)
  }

  /// The same with something different.
  func with(_ change: (inout ServiceManifest) -> Void) -> ServiceManifest {
    var copy = self
    change(&copy)
    return copy
  }

  static let clusterIP = ServiceManifest()
  static let nodePort = ServiceManifest(type: "NodePort", ports: [Port(80, nodePort: 30080)])
  static let loadBalancer = ServiceManifest(
    type: "LoadBalancer", ports: [Port(80, nodePort: 30080)],
    ingress: DualAddress.loadBalancer.both.map { ["ip": "\($0)"] })
}
