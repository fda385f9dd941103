import MartletNetworking

/// The EndpointSlices of a service, one a family, as the slice controller or somebody by hand writes them.
struct EndpointSliceManifest {
  /// One endpoint: a host of the cluster, with what is special about it.
  struct Endpoint: ExpressibleByStringLiteral {
    /// As ``ClusterHost/name``.
    var host: String
    var conditions: JSON = ["ready": true, "serving": true, "terminating": false]
    var hints: JSON?
    /// Further fields, in place of those that follow from the host.
    var fields: JSON = [:]

    init(_ host: String, conditions: JSON? = nil, hints: JSON? = nil, fields: JSON = [:]) {
      self.host = host
      if let conditions { self.conditions = conditions }
      (self.hints, self.fields) = (hints, fields)
    }

    init(stringLiteral value: String) { self.init(value) }

    static func notReady(_ host: String) -> Self {
      Self(host, conditions: ["ready": false, "serving": false, "terminating": false])
    }

    /// Still serves those whom it gets, which should be no new ones.
    static func terminating(_ host: String) -> Self {
      Self(host, conditions: ["ready": false, "serving": true, "terminating": true])
    }

    /// Does not serve any more.
    static func finished(_ host: String) -> Self {
      Self(host, conditions: ["ready": false, "serving": false, "terminating": true])
    }
  }

  var service = "web"
  var namespace = "default"
  /// Tells the slices of one service apart.
  var suffix = ""
  var endpoints: [Endpoint]
  /// The ports, as the API has them.
  var ports: [JSON] = [.port(8080)]
  var families = AddressFamily.allCases
  /// In place of the one that names the service.
  var labels: [String: JSON]?

  /// `endpoints` of the service `web`, unless `change` says otherwise.
  init(_ endpoints: [Endpoint], _ change: (inout EndpointSliceManifest) -> Void = { _ in }) {
    self.endpoints = endpoints
    change(&self)
  }

  /// The objects, for hosts found by `host`.
  func json(_ host: (String) throws -> ClusterHost) rethrows -> [JSON] {
    try families.map { family in
      [
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": .string(family.rawValue),
        "metadata": [
          "name": "\(service)-\(family.rawValue.lowercased())\(suffix)", "namespace": .string(namespace),
          "labels": .object(labels ?? ["kubernetes.io/service-name": .string(service)]),
        ],
        "endpoints": .list(try endpoints.map { try json($0, of: host($0.host), family) }), "ports": .list(ports),
      ]
    }
  }

  private func json(_ endpoint: Endpoint, of host: ClusterHost, _ family: AddressFamily) -> JSON {
    var json: JSON = ["addresses": ["\(host[family])"], "conditions": endpoint.conditions]
    if let node = host.node { json["nodeName"] = .string(node) }
    if let hints = endpoint.hints { json["hints"] = hints }
    return json.merging(endpoint.fields)
  }
}

extension JSON {
  /// A slice's port.
  static func port(_ number: Int, _ protocol: String = "TCP", name: String = "") -> JSON {
    ["port": .number(number), "protocol": .string(`protocol`), "name": .string(name)]
  }

  /// Hints as the slice controller gives them.
  static func hints(zones: [String] = [], nodes: [String] = []) -> JSON {
    var hints: JSON = [:]
    if !zones.isEmpty { hints["forZones"] = .list(zones.map { ["name": .string($0)] }) }
    if !nodes.isEmpty { hints["forNodes"] = .list(nodes.map { ["name": .string($0)] }) }
    return hints
  }
}
