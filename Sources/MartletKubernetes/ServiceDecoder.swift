import MartletModel
import MartletNetworking

extension ValueDecoder where Value == Service {
  /// A `v1` `Service`.
  static var service: Self {
    Self { (object) throws(FieldError) in
      let metadata = try ObjectMetadata(whole: object)
      var service = Service(name: metadata.namespacedName)
      try object.inside("spec") { (spec) throws(FieldError) in
        try decodeSpec(spec, into: &service)
      }
      try decodeStatus(object, into: &service)
      try decodeMetadata(object, metadata, into: &service)
      return service
    }
  }

  private static func decodeSpec(_ spec: ManifestValue, into service: inout Service) throws(FieldError) {
    service.kind = try spec.nonempty("type", .choice) ?? .clusterIP
    try decodeClusterIPs(spec, into: &service)
    service.externalIPs = try spec.list("externalIPs", of: .address)
    service.ports = try spec.list("ports", of: .servicePort)
    try refuseRepeatedPorts(service.ports, spec)
    service.sessionAffinity = try sessionAffinity(spec)
    service.internalTrafficPolicy = try spec.nonempty("internalTrafficPolicy", .choice) ?? .cluster
    service.externalTrafficPolicy = try spec.nonempty("externalTrafficPolicy", .choice) ?? .cluster
    service.sourceRanges = try spec.list("loadBalancerSourceRanges", of: .prefix)
    service.healthCheckNodePort = try spec.optional("healthCheckNodePort", .portOrZero) ?? nil
  }

  private static func decodeClusterIPs(_ spec: ManifestValue, into service: inout Service) throws(FieldError) {
    var written = try spec.list("clusterIPs", of: .clusterIP)
    if written.isEmpty, let single = try spec.optional("clusterIP", .clusterIP) { written = [single] }
    service.isHeadless = written.contains(.none) || spec["clusterIP"]?.isNone == true
    service.clusterIPs = written.compactMap { if case .allocated(let address) = $0 { address } else { nil } }
  }

  /// Endpoints are joined by port name and clients by protocol and number: neither may lead to two ports.
  private static func refuseRepeatedPorts(_ ports: [Service.Port], _ spec: ManifestValue) throws(FieldError) {
    for (index, port) in ports.enumerated() {
      let earlier = ports[..<index]
      guard let list = spec["ports"], case .list(let values) = list.content else { return }
      if earlier.contains(where: { $0.name == port.name }) {
        let message =
          port.name.isEmpty ? "is missing, which only a single port may do" : "\"\(port.name)\" occurs twice"
        throw FieldError(values[index], message).inMember("name").atIndex(index).inMember("ports")
      }
      if earlier.contains(where: { $0.protocol == port.protocol && $0.port == port.port }) {
        throw FieldError(values[index], "\(port.port)/\(port.protocol) occurs twice")
          .inMember("port").atIndex(index).inMember("ports")
      }
    }
  }

  private static func sessionAffinity(_ spec: ManifestValue) throws(FieldError) -> Service.SessionAffinity {
    guard try spec.nonempty("sessionAffinity", .choice) ?? AffinityKind.none == .clientIP else { return .none }
    let timeout: UInt32? = try spec.inside("sessionAffinityConfig") { (config) throws(FieldError) in
      try config.inside("clientIP") { (clientIP) throws(FieldError) -> UInt32? in
        try clientIP.optional("timeoutSeconds", .integer(in: 1...86_400, called: "a time in seconds"))
      }
    }
    return .clientIP(timeout: timeout ?? 10_800)
  }

  private static func decodeStatus(_ object: ManifestValue, into service: inout Service) throws(FieldError) {
    let ingress = try object.inside("status") { (status) throws(FieldError) in
      try status.inside("loadBalancer") { (loadBalancer) throws(FieldError) in
        try loadBalancer.list("ingress", of: .ingress)
      }
    }
    service.loadBalancerIngress = (ingress ?? []).compactMap { $0 }
  }

  private static func decodeMetadata(
    _ object: ManifestValue, _ metadata: ObjectMetadata, into service: inout Service
  ) throws(FieldError) {
    service.proxyName = metadata.labels[WellKnownName.serviceProxyName]
    if metadata.labels[WellKnownName.headless] != nil { service.isHeadless = true }
    try object.inside("metadata") { (metadata) throws(FieldError) in
      try metadata.inside("annotations") { (annotations) throws(FieldError) in
        if service.sourceRanges.isEmpty {
          service.sourceRanges = try annotations.nonempty(WellKnownName.sourceRanges, .prefixes) ?? []
        }
        service.loadBalancing = try annotations.optional(WellKnownName.loadBalancing, .choice) ?? .random
        service.forwarding = try annotations.optional(WellKnownName.forwarding, .choice) ?? .standard
      }
    }
  }
}

private enum AffinityKind: String, CaseIterable {
  case none = "None"
  case clientIP = "ClientIP"
}

/// What the API writes where a cluster IP goes.
private enum ClusterIP: Equatable {
  /// Not yet.
  case unallocated
  /// Headless.
  case none
  case allocated(IPAddress)
}

extension ManifestValue {
  fileprivate var isNone: Bool {
    if case .string("None") = content { true } else { false }
  }
}

extension ValueDecoder where Value == ClusterIP {
  fileprivate static var clusterIP: Self {
    Self(text: "an IP address or None") { text in
      switch text {
      case "": .unallocated
      case "None": ClusterIP.none
      default: IPAddress(text).map(ClusterIP.allocated)
      }
    }
  }
}

extension ValueDecoder where Value == Service.Port {
  fileprivate static var servicePort: Self {
    Self { (port) throws(FieldError) in
      Service.Port(
        name: try port.optional("name", .string) ?? "",
        protocol: try port.nonempty("protocol", .portProtocol) ?? .tcp,
        port: try port.required("port", .port),
        nodePort: try port.optional("nodePort", .portOrZero) ?? nil)
    }
  }
}

extension ValueDecoder where Value == Service.LoadBalancerIngress? {
  /// `nil` for a load balancer that is known by a domain name only.
  fileprivate static var ingress: Self {
    Self { (ingress) throws(FieldError) in
      let mode: Service.LoadBalancerIngress.Mode = try ingress.nonempty("ipMode", .choice) ?? .vip
      return try ingress.nonempty("ip", .address).map { Service.LoadBalancerIngress($0, mode: mode) }
    }
  }
}

extension ValueDecoder where Value == [IPPrefix] {
  /// Ranges with commas between them.
  fileprivate static var prefixes: Self {
    Self { (value) throws(FieldError) in
      var prefixes: [IPPrefix] = []
      for text in try ValueDecoder<String>.string.decode(value).split(separator: ",") {
        guard let prefix = IPPrefix(cidr: text) else {
          throw FieldError(value, "\"\(text)\" is not a range of addresses (ADDRESS/LENGTH)")
        }
        prefixes.append(prefix)
      }
      return prefixes
    }
  }
}
