import MartletModel
import MartletNetworking

extension ValueDecoder where Value == EndpointSlice? {
  /// A `discovery.k8s.io/v1` `EndpointSlice`; `nil` if its endpoints are domain names, which no data plane can serve.
  static var endpointSlice: Self {
    Self { (object) throws(FieldError) in
      let metadata = try ObjectMetadata(whole: object)
      guard let family = try object.required("addressType", .addressType) else { return nil }
      return EndpointSlice(
        name: metadata.namespacedName,
        serviceName: metadata.labels[WellKnownName.serviceName],
        family: family,
        endpoints: try object.list("endpoints", of: .endpoint).compactMap { $0 },
        ports: try object.list("ports", of: .endpointPort).compactMap { $0 },
        isHeadless: metadata.labels[WellKnownName.headless] != nil,
        proxyName: metadata.labels[WellKnownName.serviceProxyName],
        weight: try object.inside("metadata") { (metadata) throws(FieldError) in
          try metadata.inside("annotations") { (annotations) throws(FieldError) in
            try annotations.optional(WellKnownName.weight, .weight)
          }
        } ?? 1)
    }
  }
}

extension ValueDecoder where Value == Int {
  fileprivate static var weight: Self {
    Self(text: "a whole number from 1 to 100") { text in
      Int(text).flatMap { EndpointSlice.weights.contains($0) && String($0) == text ? $0 : nil }
    }
  }
}

extension ValueDecoder where Value == AddressFamily? {
  /// `nil` for domain names.
  fileprivate static var addressType: Self {
    Self { (value) throws(FieldError) in
      let text = try ValueDecoder<String>.string.decode(value)
      if text == "FQDN" { return nil }
      guard let family = AddressFamily(rawValue: text) else {
        throw FieldError(value, "\"\(text)\" is not one of IPv4, IPv6, FQDN")
      }
      return family
    }
  }
}

extension ValueDecoder where Value == EndpointSlice.Endpoint? {
  /// `nil` for an endpoint without an address.
  fileprivate static var endpoint: Self {
    Self { (object) throws(FieldError) in
      guard let address = try object.optional("addresses", .firstAddress) ?? nil else { return nil }
      var endpoint = EndpointSlice.Endpoint(address: address, node: try object.nonempty("nodeName", .string))
      try object.inside("conditions") { (conditions) throws(FieldError) in
        endpoint.isReady = try conditions.optional("ready", .bool) ?? true
        endpoint.isServing = try conditions.optional("serving", .bool) ?? true
        endpoint.isTerminating = try conditions.optional("terminating", .bool) ?? false
      }
      try object.inside("hints") { (hints) throws(FieldError) in
        endpoint.zoneHints = Set(try hints.list("forZones", of: .hint))
        endpoint.nodeHints = Set(try hints.list("forNodes", of: .hint))
      }
      return endpoint
    }
  }
}

extension ValueDecoder where Value == IPAddress? {
  /// The one address of a list that counts: the API has the others be ignored.
  fileprivate static var firstAddress: Self {
    Self { (list) throws(FieldError) in
      var list = list
      if case .list(let values) = list.content { list.content = .list(Array(values.prefix(1))) }
      return try ValueDecoder<[IPAddress]>.list(of: .address).decode(list).first
    }
  }
}

extension ValueDecoder where Value == String {
  fileprivate static var hint: Self {
    Self { (hint) throws(FieldError) in try hint.required("name", .string) }
  }
}

extension ValueDecoder where Value == EndpointSlice.Port? {
  /// `nil` for a port without a number, which stands for all ports and cannot be proxied, and for one without a name,
  /// which is joined to no port of a service: that of its only port is the empty name.
  fileprivate static var endpointPort: Self {
    Self { (port) throws(FieldError) in
      let name = try port.optional("name", .string)
      let `protocol` = try port.nonempty("protocol", .portProtocol) ?? .tcp
      guard let number = try port.optional("port", .portOrZero) ?? nil, let name else { return nil }
      return EndpointSlice.Port(name: name, protocol: `protocol`, port: number)
    }
  }
}

extension EndpointSlice {
  /// A `discovery.k8s.io/v1` `EndpointSlice`, as `ValueDecoder.endpointSlice`; `problems` are the ports that it lacks a
  /// name for, which the API server would have given them.
  static func kubernetes(
    _ object: ManifestValue, _ problems: inout FieldProblems
  ) throws(FieldError) -> EndpointSlice? {
    let slice = try ValueDecoder.endpointSlice.decode(object)
    guard case .list(let ports)? = object["ports"]?.content else { return slice }
    for (index, port) in ports.enumerated() where try port.optional("name", .string) == nil {
      problems.warn(
        FieldError(port, "has no name and no effect: write `name: \"\"` for a service's only port")
          .atIndex(index).inMember("ports"))
    }
    return slice
  }
}
