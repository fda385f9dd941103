import MartletModel
import MartletNetworking

extension PolicyRule {
  static let calicoActions = Dictionary(uniqueKeysWithValues: Action.allCases.map { ($0.rawValue, $0) })

  private static let calicoFields: Set = [
    "action", "ipVersion", "protocol", "notProtocol", "icmp", "notICMP", "source", "destination", "http", "metadata",
  ]

  /// A rule of a policy or profile of `projectcalico.org`.
  ///
  /// - Parameter namespace: The policy's; empty for one of the whole cluster.
  static func calico(
    _ rule: ManifestValue, _ direction: PolicyDirection, namespace: String, _ problems: inout FieldProblems
  ) throws(FieldError) -> PolicyRule {
    try rule.refuseMembers(besides: calicoFields)
    var decoded = PolicyRule(
      try rule.required("action", .action(calicoActions)),
      family: try rule.optional("ipVersion", .ipVersion),
      protocol: try rule.optional("protocol", .calicoProtocol),
      notProtocol: try rule.optional("notProtocol", .calicoProtocol),
      icmp: try rule.optional("icmp", .icmp) ?? nil, notICMP: try rule.optional("notICMP", .icmp) ?? nil,
      source: try rule.optional("source", .calicoEntity(namespace: namespace)) ?? EntityMatch(),
      destination: try rule.optional("destination", .calicoEntity(namespace: namespace)) ?? EntityMatch())
    try decoded.validateICMP(rule)
    try decoded.validatePorts(rule)
    try decoded.validatePrefixes(rule)
    try decoded.validateServices(rule, direction)
    if let http = rule["http"] {
      guard decoded.action == .allow else { throw FieldError(http, "needs action Allow").inMember("http") }
      _ = try rule.optional("http", .http)
      decoded.matchesNothing = true
      problems.warn(
        FieldError(http, "requests cannot be told apart here: the rule matches nothing").inMember("http"))
    }
    return decoded
  }

  private func validateICMP(_ rule: ManifestValue) throws(FieldError) {
    let isICMP = `protocol` == .icmp || `protocol` == .icmpv6
    for field in ["icmp", "notICMP"] {
      guard let value = rule[field], !isICMP else { continue }
      throw FieldError(value, "needs protocol ICMP or ICMPv6").inMember(field)
    }
    if `protocol` == .icmp && family == .ipv6 || `protocol` == .icmpv6 && family == .ipv4 {
      throw FieldError(rule["ipVersion"] ?? rule, "is not that of protocol \(`protocol`?.description ?? "")")
        .inMember("ipVersion")
    }
  }

  /// Numbers of ports need a protocol that has them; a name brings its own.
  private func validatePorts(_ rule: ManifestValue) throws(FieldError) {
    if let `protocol`, `protocol`.hasPorts { return }
    for (side, entity) in [("source", source), ("destination", destination)] {
      for (field, ports) in [("ports", entity.ports), ("notPorts", entity.notPorts)] {
        let hasNumber = (ports ?? []).contains { if case .range = $0 { true } else { false } }
        guard hasNumber || ports != nil && `protocol` != nil else { continue }
        throw FieldError(rule[side]?[field] ?? rule, "needs protocol TCP, UDP or SCTP").inMember(field).inMember(side)
      }
    }
  }

  private func validatePrefixes(_ rule: ManifestValue) throws(FieldError) {
    var first: IPPrefix?
    for (side, entity) in [("source", source), ("destination", destination)] {
      for (field, prefixes) in [("nets", entity.prefixes), ("notNets", entity.notPrefixes)] {
        for (index, prefix) in (prefixes ?? []).enumerated() {
          if let first, first.family != prefix.family {
            throw FieldError(
              rule[side]?[field] ?? rule, "\(prefix) is not of the family of \(first): make two rules, one for each"
            ).atIndex(index).inMember(field).inMember(side)
          }
          first = prefix
        }
      }
    }
  }

  private func validateServices(_ rule: ManifestValue, _ direction: PolicyDirection) throws(FieldError) {
    let (side, other) = direction == .ingress ? ("source", "destination") : ("destination", "source")
    if let services = rule[other]?["services"] {
      throw FieldError(services, "may only be at the other end: in \(side)").inMember("services").inMember(other)
    }
    for field in ["ports", "notPorts"] where direction == .egress && destination.service != nil {
      guard let ports = rule[side]?[field] else { continue }
      throw FieldError(ports, "has to be left out: the ports are those of the service").inMember(field).inMember(side)
    }
  }
}

extension ValueDecoder where Value == AddressFamily {
  fileprivate static var ipVersion: Self {
    Self { (value) throws(FieldError) in
      switch value.content {
      case .integer(4): return .ipv4
      case .integer(6): return .ipv6
      default: throw FieldError(value, "expected 4 or 6, found \(value.contentDescription)")
      }
    }
  }
}

extension ValueDecoder where Value == PolicyRule.ICMPMatch? {
  /// `nil` where nothing is said.
  fileprivate static var icmp: Self {
    Self { (icmp) throws(FieldError) in
      try icmp.refuseMembers(besides: ["type", "code"])
      let code = try icmp.optional("code", ValueDecoder<UInt8>.integer(in: 0...255, called: "a code of ICMP"))
      guard let type = try icmp.optional("type", ValueDecoder<UInt8>.integer(in: 0...254, called: "a type of ICMP"))
      else {
        if code != nil { throw FieldError(icmp, "is missing, and code means nothing without it").inMember("type") }
        return nil
      }
      return PolicyRule.ICMPMatch(type: type, code: code)
    }
  }
}

extension ValueDecoder where Value == Void {
  /// What a rule says of requests.
  fileprivate static var http: Self {
    Self { (http) throws(FieldError) in
      try http.refuseMembers(besides: ["methods", "paths", "headers"])
      _ = try http.list("methods", of: ValueDecoder<String>.string)
      _ = try http.list("paths", of: .object)
    }
  }
}
