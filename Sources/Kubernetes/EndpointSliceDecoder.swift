import Model
import Networking

extension ValueDecoder where Value == EndpointSlice? {
  /// A `discovery.k8s.io/v1` `EndpointSlice`; `nil` if its endpoints are domain names, which no data plane can serve.
  static var endpointSlice: Self {
    Self { (object) throws(FieldError) in
      let metadata = try ObjectMetadata(object)
      guard let family = try object.required("addressType", .addressType) else { return nil }
      return EndpointSlice(
        name: metadata.namespacedName,
        serviceName: metadata.labels[WellKnownName.serviceName],
        family: family,
        endpoints: try object.list("endpoints", of: .endpoint).compactMap { $0 },
        ports: try object.list("ports", of: .endpointPort).compactMap { $0 },
        isHeadless: metadata.labels[WellKnownName.headless] != nil,
        proxyName: metadata.labels[WellKnownName.serviceProxyName])
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
  /// `nil` for an endpoint without an address. Of several addresses the first counts: the API has others be ignored.
  fileprivate static var endpoint: Self {
    Self { (endpoint) throws(FieldError) in
      let addresses = try endpoint.list("addresses", of: .string)
      let conditions = try endpoint.optional("conditions", .object)
      let isReady = try conditions?.optional("ready", .bool) ?? true
      let hints = try endpoint.optional("hints", .object)
      guard let first = addresses.first else { return nil }
      guard let address = IPAddress(first) else {
        throw FieldError(endpoint["addresses"] ?? endpoint, "\"\(first)\" is not an IP address")
          .atIndex(0).inMember("addresses")
      }
      return EndpointSlice.Endpoint(
        address: address,
        isReady: isReady,
        isServing: try conditions?.optional("serving", .bool) ?? isReady,
        isTerminating: try conditions?.optional("terminating", .bool) ?? false,
        node: try endpoint.nonempty("nodeName", .string),
        zoneHints: Set(try hints?.list("forZones", of: .hint) ?? []),
        nodeHints: Set(try hints?.list("forNodes", of: .hint) ?? []))
    }
  }
}

extension ValueDecoder where Value == String {
  fileprivate static var hint: Self {
    Self { (hint) throws(FieldError) in try hint.required("name", .string) }
  }
}

extension ValueDecoder where Value == EndpointSlice.Port? {
  /// `nil` for a port without a number, which stands for all ports and cannot be proxied.
  fileprivate static var endpointPort: Self {
    Self { (port) throws(FieldError) in
      let name = try port.optional("name", .string) ?? ""
      let `protocol` = try port.nonempty("protocol", .portProtocol) ?? .tcp
      guard let number = try port.optional("port", .portOrZero) ?? nil else { return nil }
      return EndpointSlice.Port(name: name, protocol: `protocol`, port: number)
    }
  }
}
