import MartletModel
import MartletNetworking

extension Policy {
  /// A `networking.k8s.io/v1` `NetworkPolicy`, or one that is staged.
  static func networkPolicy(
    _ object: ManifestValue, as kind: PolicyName.Kind = .networkPolicy, _ problems: inout FieldProblems
  ) throws(FieldError) -> Policy {
    let isStaged = kind != .networkPolicy
    let fields: Set = ["podSelector", "policyTypes", "ingress", "egress"]
    var reader = try SpecReader(object, fields: isStaged ? fields.union(["stagedAction"]) : fields)
    let namespace = reader.metadata.namespace
    let subject = reader.subject(isNamespaced: true, [("podSelector", .labels())])
    var rules: [PolicyDirection: [PolicyRule]] = [:]
    for direction in PolicyDirection.allCases {
      rules[direction] = reader.rules(direction, actions: nil) { (rule, _) throws(FieldError) in
        try networkPolicyRule(rule, direction, namespace: namespace)
      }
    }
    let egress = rules[.egress] ?? []
    var policy = Policy(
      name: PolicyName(kind, reader.metadata.namespacedName), order: networkPolicyOrder,
      subject: Subject(.pods(namespaces: subject), workloadsOnly: true),
      directions: reader.directions(
        "policyTypes", mayRepeat: true, default: egress.isEmpty ? [.ingress] : [.ingress, .egress]),
      ingress: rules[.ingress] ?? [], egress: egress, rejects: reader.rejects())
    if isStaged { policy.stage(&reader) }
    problems = reader.problems
    return reader.closed(policy)
  }

  /// The place of Kubernetes' own policies among Calico's of the same tier.
  private static let networkPolicyOrder = 1000.0

  private static func networkPolicyRule(
    _ rule: ManifestValue, _ direction: PolicyDirection, namespace: String
  ) throws(FieldError) -> [PolicyRule] {
    let field = direction == .ingress ? "from" : "to"
    try rule.refuseMembers(besides: [field, "ports"])
    let peers = try rule.nonemptyList(field, of: .networkPolicyPeer(namespace: namespace))
    let ports = try rule.nonemptyList("ports", of: .networkPolicyPort)
    return PolicyRule.alternatives(.allow, direction, peers: peers ?? [EntityMatch()], ports: ports)
  }
}

extension ValueDecoder where Value == EntityMatch {
  /// - Parameter namespace: The policy's.
  fileprivate static func networkPolicyPeer(namespace: String) -> Self {
    Self { (peer) throws(FieldError) in
      try peer.refuseMembers(besides: ["ipBlock", "podSelector", "namespaceSelector"])
      let pods = try peer.optional("podSelector", .labels())
      let namespaces = try peer.optional("namespaceSelector", .labels(of: .namespace))
      if let block = try peer.optional("ipBlock", .ipBlock) {
        guard pods == nil, namespaces == nil else {
          throw FieldError(peer, "excludes podSelector and namespaceSelector").inMember("ipBlock")
        }
        return block
      }
      guard pods != nil || namespaces != nil else {
        throw FieldError(peer, "has to have ipBlock, podSelector or namespaceSelector")
      }
      let ownNamespace = Selector.equals(PolicyLabel.namespace, namespace)
      return EntityMatch(selector: .pods(namespaces: namespaces ?? ownNamespace, pods: pods ?? .all))
    }
  }

  private static var ipBlock: Self {
    Self { (block) throws(FieldError) in
      try block.refuseMembers(besides: ["cidr", "except"])
      let prefix = try block.required("cidr", .prefix)
      let exceptions = try block.nonemptyList("except", of: .prefix)
      for (index, exception) in (exceptions ?? []).enumerated()
      where !prefix.contains(exception) || prefix.family != exception.family || prefix == exception {
        throw FieldError(block, "\(exception) is not a part of \(prefix)").atIndex(index).inMember("except")
      }
      return EntityMatch(prefixes: [prefix], notPrefixes: exceptions)
    }
  }
}

extension ValueDecoder where Value == ProtocolPort {
  fileprivate static var networkPolicyPort: Self {
    Self { (port) throws(FieldError) in
      try port.refuseMembers(besides: ["protocol", "port", "endPort"])
      let `protocol` = try port.optional("protocol", .portProtocol) ?? .tcp
      let number = try port.optional("port", .numberOrName)
      guard let last = try port.optional("endPort", .port) else {
        return ProtocolPort(protocol: `protocol`, port: number)
      }
      guard case .range(let first) = number else {
        throw FieldError(port, "needs a port that is a number").inMember("endPort")
      }
      guard first.first <= last else {
        throw FieldError(port, "\(last) is less than port \(first)").inMember("endPort")
      }
      return ProtocolPort(protocol: `protocol`, port: .range(PortRange(first.first...last)))
    }
  }
}

extension ValueDecoder where Value == EntityMatch.PortMatch {
  /// A port's number, or a name as Kubernetes has them.
  fileprivate static var numberOrName: Self {
    Self { (value) throws(FieldError) in
      if case .string = value.content { return .named(try ValueDecoder<String>.portName.decode(value)) }
      return .range(PortRange(try ValueDecoder<UInt16>.port.decode(value)))
    }
  }
}

extension ValueDecoder where Value == String {
  /// The name of a port of a container: 15 lowercase letters, digits and single dashes at most, with a letter.
  static var portName: Self {
    Self(text: "a port's name (at most 15 of a-z, 0-9 and -, one of them a letter)") { name in
      let isName =
        (1...15).contains(name.utf8.count) && name.utf8.contains { (0x61...0x7a).contains($0) }
        && name.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2d }
        && !name.hasPrefix("-") && !name.hasSuffix("-") && !name.contains("--")
      return isName ? name : nil
    }
  }
}
