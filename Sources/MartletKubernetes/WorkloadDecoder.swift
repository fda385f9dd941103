import MartletModel
import MartletNetworking

extension Workload {
  /// A `v1` `Pod`. Without the other addresses that it may send from, if those are not understood.
  static func pod(_ object: ManifestValue, _ problems: inout FieldProblems) throws(FieldError) -> Workload {
    var workload = try ValueDecoder<Workload>.pod.decode(object)
    workload.allowedSources =
      problems.attempt { () throws(FieldError) -> [IPPrefix] in
        try object.annotation(WellKnownName.allowedSources, .embeddedPrefixes) ?? []
      } ?? []
    return workload
  }
}

extension ValueDecoder where Value == [IPPrefix] {
  /// A list of ranges or addresses as JSON within a string.
  fileprivate static var embeddedPrefixes: Self {
    Self { (value) throws(FieldError) in
      let list = try ValueDecoder<ManifestValue>.embeddedJSON.decode(value)
      return try ValueDecoder.list(of: .prefixOrAddress).decode(list)
    }
  }
}

extension ValueDecoder where Value == Workload {
  fileprivate static var pod: Self {
    Self { (object) throws(FieldError) in
      let metadata = try ObjectMetadata(whole: object)
      var workload = Workload(name: metadata.namespacedName, uid: metadata.uid, labels: metadata.labels)
      try object.inside("spec") { (spec) throws(FieldError) in
        workload.node = try spec.nonempty("nodeName", .string)
        workload.usesHostNetwork = try spec.optional("hostNetwork", .bool) ?? false
        workload.serviceAccount = try spec.nonempty("serviceAccountName", .string) ?? "default"
        workload.ports = try ports(spec)
      }
      try object.inside("status") { (status) throws(FieldError) in
        let phase = try status.optional("phase", .string)
        workload.isFinished = phase == "Succeeded" || phase == "Failed"
        workload.addresses = try addresses(status)
      }
      try object.inside("metadata") { (metadata) throws(FieldError) in
        try metadata.inside("annotations") { (annotations) throws(FieldError) in
          let balancing: ConnectTimeBalancing? = try annotations.optional(WellKnownName.connectTimeBalancing, .choice)
          workload.usesConnectTimeBalancing = balancing != .disabled
        }
      }
      return workload
    }
  }

  private static func addresses(_ status: ManifestValue) throws(FieldError) -> [IPAddress] {
    let addresses = try status.list("podIPs", of: .podIP)
    if addresses.isEmpty, let address = try status.nonempty("podIP", .address) { return [address] }
    return addresses
  }

  /// The named ports of the containers, and of the init containers that stay ("sidecars"). Where two claim a name, the
  /// first has it, as when the API server resolves it.
  private static func ports(_ spec: ManifestValue) throws(FieldError) -> [Workload.Port] {
    let containers = try spec.list("containers", of: .container)
    let sidecars = try spec.list("initContainers", of: .container).filter(\.staysRunning)
    var ports: [Workload.Port] = []
    for port in (containers + sidecars).flatMap(\.ports)
    where !ports.contains(where: { $0.name == port.name && $0.protocol == port.protocol }) {
      ports.append(port)
    }
    return ports
  }
}

extension ValueDecoder where Value == IPAddress {
  fileprivate static var podIP: Self {
    Self { (podIP) throws(FieldError) in try podIP.required("ip", .address) }
  }
}

/// What the annotation says.
private enum ConnectTimeBalancing: String, CaseIterable {
  case enabled
  case disabled
}

/// The part of a container that matters here.
private struct Container {
  let ports: [Workload.Port]
  /// Of an init container: whether it runs beside those that come after it.
  let staysRunning: Bool
}

extension ValueDecoder where Value == Container {
  fileprivate static var container: Self {
    Self { (container) throws(FieldError) in
      Container(
        ports: try container.list("ports", of: .containerPort).compactMap { $0 },
        staysRunning: try container.optional("restartPolicy", .string) == "Always")
    }
  }
}

extension ValueDecoder where Value == Workload.Port? {
  /// `nil` for a port without a name.
  fileprivate static var containerPort: Self {
    Self { (port) throws(FieldError) in
      let number = try port.required("containerPort", .port)
      let `protocol` = try port.nonempty("protocol", .portProtocol) ?? .tcp
      return try port.nonempty("name", .string).map { Workload.Port(name: $0, protocol: `protocol`, port: number) }
    }
  }
}
