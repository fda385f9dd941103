import MartletModel
import MartletNetworking

extension HostEndpoint {
  /// A `HostEndpoint` of `projectcalico.org`.
  ///
  /// If only part of it is understood it is that part: to take it for absent would leave the host open. It needs a node
  /// at least.
  static func calico(_ object: ManifestValue, _ problems: inout FieldProblems) throws(FieldError) -> HostEndpoint? {
    var reader = try SpecReader(object, fields: ["node", "interfaceName", "expectedIPs", "profiles", "ports"])
    let node = reader.required("node", .name)
    let endpoint = HostEndpoint(
      name: reader.metadata.name, labels: reader.calicoLabels(), node: node ?? "",
      interface: reader.optional("interfaceName", .interfaceName),
      expectedAddresses: reader.elements("expectedIPs", of: .address),
      profiles: reader.elements("profiles", of: ValueDecoder<String>.name),
      ports: reader.elements("ports", of: .hostPort))
    if reader.isClear, endpoint.interface == nil, endpoint.expectedAddresses.isEmpty {
      reader.check { (spec) throws(FieldError) in
        throw FieldError(spec, "has to have interfaceName or expectedIPs, which tell the interface")
      }
    }
    problems = reader.problems
    return node == nil ? nil : endpoint
  }
}

extension ValueDecoder where Value == String {
  /// The name of an interface of Linux, or `*`.
  fileprivate static var interfaceName: Self {
    Self(text: "an interface's name (1 to 15 characters without blanks and /) or *") { name in
      let isName = (1...15).contains(name.utf8.count) && !name.contains { $0 == "/" || $0.isWhitespace }
      return isName ? name : nil
    }
  }
}

extension ValueDecoder where Value == Workload.Port {
  fileprivate static var hostPort: Self {
    Self { (port) throws(FieldError) in
      try port.refuseMembers(besides: ["name", "protocol", "port"])
      let `protocol` = try port.required("protocol", .calicoProtocol)
      guard `protocol`.hasPorts else {
        throw FieldError(port, "\(`protocol`) has no ports; expected TCP, UDP or SCTP").inMember("protocol")
      }
      return Workload.Port(
        name: try port.required("name", .name), protocol: `protocol`, port: try port.required("port", .port))
    }
  }
}
