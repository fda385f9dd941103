import MartletModel
import MartletNetworking

/// Who is at the other end, by a rule of an administrator's policy.
enum AdministratorPeer {
  case pods(EntityMatch)
  case addresses(EntityMatch)
  /// Which nobody resolves here.
  case domainNames(FieldError)
  /// A kind of peer of a later version of the API. The API has rules with one fail closed.
  case unknown(FieldError)
}

extension ValueDecoder where Value == AdministratorPeer {
  /// - Parameter limit: How many ranges of addresses and domain names a peer may have.
  static func administratorPeer(_ direction: PolicyDirection, limit: Int) -> Self {
    Self { (peer) throws(FieldError) in
      guard let kind = try peer.onlyMember() else {
        return .unknown(FieldError(peer, "is of no kind known here: the rule fails closed"))
      }
      switch kind {
      case "namespaces":
        return .pods(EntityMatch(selector: .pods(namespaces: try peer.required(kind, .labels(of: .namespace)))))
      case "pods": return .pods(EntityMatch(selector: try peer.required(kind, .namespacedPods)))
      case "nodes" where direction == .egress:
        return .addresses(EntityMatch(nodes: try peer.required(kind, .labels())))
      case "networks" where direction == .egress:
        try peer.limit(kind, to: limit)
        let prefixes = try peer.required(kind, .list(of: .prefix))
        if prefixes.isEmpty { throw FieldError(peer, "has to have a range of addresses").inMember(kind) }
        return .addresses(EntityMatch(prefixes: prefixes))
      case "domainNames" where direction == .egress:
        try peer.limit(kind, to: limit)
        _ = try peer.required(kind, .list(of: ValueDecoder<String>.name))
        return .domainNames(FieldError(peer, "domain names match nothing here").inMember(kind))
      default:
        return .unknown(
          FieldError(peer, "is no kind of peer known here: the rule fails closed").inMember(kind))
      }
    }
  }
}

extension ValueDecoder where Value == Selector {
  /// The pods that an administrator's policy applies to.
  static var podsSubject: Self {
    Self { (subject) throws(FieldError) in
      try subject.refuseMembers(besides: ["namespaces", "pods"])
      switch try subject.onlyMember() {
      case "namespaces": return .pods(namespaces: try subject.required("namespaces", .labels(of: .namespace)))
      case "pods": return try subject.required("pods", .namespacedPods)
      default: throw FieldError(subject, "has to have namespaces or pods")
      }
    }
  }

  fileprivate static var namespacedPods: Self {
    Self { (pods) throws(FieldError) in
      try pods.refuseMembers(besides: ["namespaceSelector", "podSelector"])
      return .pods(
        namespaces: try pods.optional("namespaceSelector", .labels(of: .namespace)) ?? .all,
        pods: try pods.optional("podSelector", .labels()) ?? .all)
    }
  }
}

extension ValueDecoder where Value == ProtocolPort {
  /// An element of a `ClusterNetworkPolicy`'s `protocols`.
  static var clusterNetworkPolicyPort: Self {
    Self { (port) throws(FieldError) in
      try port.refuseMembers(besides: ["tcp", "udp", "sctp", "destinationNamedPort"])
      guard let kind = try port.onlyMember() else {
        throw FieldError(port, "has to have tcp, udp, sctp or destinationNamedPort")
      }
      if kind == "destinationNamedPort" {
        return ProtocolPort(protocol: nil, port: .named(try port.required(kind, .portName)))
      }
      let range = try port.required(kind, .destinationPort)
      return ProtocolPort(protocol: L4Protocol(kind.uppercased()), port: .range(range))
    }
  }

  /// An element of an `AdminNetworkPolicy`'s `ports`.
  static var adminNetworkPolicyPort: Self {
    Self { (port) throws(FieldError) in
      try port.refuseMembers(besides: ["portNumber", "portRange", "namedPort"])
      switch try port.onlyMember() {
      case "portNumber": return try port.required("portNumber", .portNumber)
      case "portRange": return try port.required("portRange", .protocolRange)
      case "namedPort": return ProtocolPort(protocol: nil, port: .named(try port.required("namedPort", .portName)))
      default: throw FieldError(port, "has to have portNumber, portRange or namedPort")
      }
    }
  }

  private static var portNumber: Self {
    Self { (number) throws(FieldError) in
      try number.refuseMembers(besides: ["protocol", "port"])
      return ProtocolPort(
        protocol: try number.optional("protocol", .portProtocol) ?? .tcp,
        port: .range(PortRange(try number.required("port", .port))))
    }
  }

  private static var protocolRange: Self {
    Self { (range) throws(FieldError) in
      try range.refuseMembers(besides: ["protocol", "start", "end"])
      return ProtocolPort(
        protocol: try range.optional("protocol", .portProtocol) ?? .tcp, port: .range(try range.portRange()))
    }
  }
}

extension ValueDecoder where Value == PortRange {
  /// What is said of a protocol: its port, by number or range.
  fileprivate static var destinationPort: Self {
    Self { (match) throws(FieldError) in
      try match.refuseMembers(besides: ["destinationPort"])
      return try match.required("destinationPort", .portOrRange)
    }
  }

  private static var portOrRange: Self {
    Self { (port) throws(FieldError) in
      try port.refuseMembers(besides: ["number", "range"])
      guard try port.onlyMember() == "range" else { return PortRange(try port.required("number", .port)) }
      return try port.required("range", .startAndEnd)
    }
  }

  private static var startAndEnd: Self {
    Self { (range) throws(FieldError) in
      try range.refuseMembers(besides: ["start", "end"])
      return try range.portRange()
    }
  }
}

extension ManifestValue {
  fileprivate func portRange() throws(FieldError) -> PortRange {
    let start = try required("start", .port)
    let end = try required("end", .port)
    guard start < end else { throw FieldError(self, "\(end) is not greater than start, \(start)").inMember("end") }
    return PortRange(start...end)
  }

  /// The name of the member that an object has of several that exclude each other; `nil` if it has none.
  fileprivate func onlyMember() throws(FieldError) -> String? {
    guard case .object(let members) = content else {
      throw FieldError(self, "expected an object, found \(contentDescription)")
    }
    let present = members.filter { if case .null = $0.value.content { false } else { true } }
    guard present.count <= 1 else {
      throw FieldError(self, "has both \(present[0].name) and \(present[1].name), which exclude each other")
    }
    return present.first?.name
  }
}
