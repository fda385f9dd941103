import MartletModel
import MartletNetworking

extension ValueDecoder where Value == EntityMatch {
  /// The source or destination of a rule of `projectcalico.org`.
  ///
  /// - Parameter namespace: The policy's; empty for one of the whole cluster.
  static func calicoEntity(namespace: String) -> Self {
    Self { (entity) throws(FieldError) in
      try entity.refuseMembers(besides: [
        "nets", "notNets", "selector", "notSelector", "namespaceSelector", "ports", "notPorts", "serviceAccounts",
        "services",
      ])
      for field in ["nets", "notNets"] { try entity.limit(field, to: 256) }
      for field in ["ports", "notPorts"] { try entity.limit(field, to: 50) }
      let notSelector = try entity.nonempty("notSelector", .selector())
      return EntityMatch(
        selector: try entity.calicoSelector(namespace: namespace, isNarrowed: notSelector != nil),
        notSelector: notSelector,
        prefixes: try entity.nonemptyList("nets", of: .prefixOrAddress),
        notPrefixes: try entity.nonemptyList("notNets", of: .prefixOrAddress),
        ports: try entity.nonemptyList("ports", of: .calicoPort),
        notPorts: try entity.nonemptyList("notPorts", of: .calicoPort),
        service: try entity.calicoService(namespace: namespace))
    }
  }
}

extension ManifestValue {
  /// The one selector that all fields about labels come to. Used at all, they mean the policy's namespace unless they
  /// say which; so does `notSelector`, which then leaves out some of the namespace rather than of the world.
  fileprivate func calicoSelector(namespace: String, isNarrowed: Bool) throws(FieldError) -> Selector? {
    let namespaces = try nonempty("namespaceSelector", .namespacesOfRule)
    let own = try nonempty("selector", .selector())
    let accounts = try optional("serviceAccounts", .serviceAccounts)
    let conditions = [own, accounts].compactMap { $0 }
    if namespaces == nil, conditions.isEmpty, namespace.isEmpty || !isNarrowed { return nil }
    let ownNamespace: Selector? = namespace.isEmpty ? nil : .equals(PolicyLabel.namespace, namespace)
    let scope = (namespaces ?? ownNamespace).map { [$0] } ?? []
    return Selector.and((scope + conditions).filter { $0 != .all }).canonical
  }

  fileprivate func calicoService(namespace: String) throws(FieldError) -> NamespacedName? {
    guard let service = try optional("services", .serviceReference(namespace: namespace)) else { return nil }
    for field in ["nets", "notNets", "selector", "notSelector", "namespaceSelector", "serviceAccounts"] {
      guard let other = self[field] else { continue }
      throw FieldError(other, "excludes services").inMember(field)
    }
    return service
  }
}

extension ValueDecoder where Value == NamespacedName {
  fileprivate static func serviceReference(namespace: String) -> Self {
    Self { (service) throws(FieldError) in
      try service.refuseMembers(besides: ["name", "namespace"])
      let written = try service.nonempty("namespace", .string) ?? namespace
      guard !written.isEmpty else {
        throw FieldError(service, "is missing, which only a policy of a namespace may leave out").inMember("namespace")
      }
      return NamespacedName(namespace: written, name: try service.required("name", .name))
    }
  }
}

extension ValueDecoder where Value == Selector {
  fileprivate static var serviceAccounts: Self {
    Self { (accounts) throws(FieldError) in
      try accounts.refuseMembers(besides: ["names", "selector"])
      let names = try accounts.nonemptyList("names", of: ValueDecoder<String>.name)
      let selector = try accounts.nonempty("selector", .selector(of: .serviceAccount))
      let conditions = [names.map { .member(PolicyLabel.serviceAccount, $0) }, selector].compactMap { $0 }
      return conditions.isEmpty ? .has(PolicyLabel.serviceAccount) : Selector.and(conditions).canonical
    }
  }
}

extension ValueDecoder where Value == IPPrefix {
  /// A range of addresses, or a single one, which Calico takes as well.
  static var prefixOrAddress: Self {
    Self(text: "a range of addresses (ADDRESS/LENGTH) or an address") { IPPrefix($0, hostBits: .cleared) }
  }
}

extension ValueDecoder where Value == EntityMatch.PortMatch {
  /// A number, `LOW:HIGH`, or a name.
  fileprivate static var calicoPort: Self {
    Self { (value) throws(FieldError) in
      if case .integer = value.content { return .range(PortRange(try ValueDecoder<UInt16>.port.decode(value))) }
      let text = try ValueDecoder<String>.string.decode(value)
      if let ends = numbers(text) {
        guard let low = ends.low, let high = ends.high, low > 0, low <= high else {
          throw FieldError(value, "\"\(text)\" is not a range of ports (LOW:HIGH, 1 to 65535)")
        }
        return .range(PortRange(low...high))
      }
      let isName =
        (1...128).contains(text.utf8.count)
        && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_.-".contains($0)) }
      guard isName else { throw FieldError(value, "\"\(text)\" is not a port, a range LOW:HIGH or a port's name") }
      return .named(text)
    }
  }

  /// The ends of what is a number or two with a colon between; `nil` of anything else.
  private static func numbers(_ text: String) -> (low: UInt16?, high: UInt16?)? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard let low = parts.first, let high = parts.last, parts.count <= 2,
      parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } })
    else { return nil }
    return (UInt16(low), UInt16(high))
  }
}

extension ValueDecoder where Value == L4Protocol {
  /// A protocol by name, however capitalised, or by number.
  static var calicoProtocol: Self {
    Self { (value) throws(FieldError) in
      let number: Int?
      switch value.content {
      case .integer(let written): number = written
      case .string(let name):
        if let known = calicoNames[name.lowercased()] { return known }
        number = UInt8(name).map(Int.init)
      default: number = nil
      }
      guard let number, let code = UInt8(exactly: number), code != 0 else {
        throw FieldError(
          value, "expected TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or 1 to 255, found \(value.contentDescription)")
      }
      return L4Protocol(rawValue: code)
    }
  }

  private static var calicoNames: [String: L4Protocol] {
    [
      "tcp": .tcp, "udp": .udp, "icmp": .icmp, "icmpv6": .icmpv6, "sctp": .sctp,
      "udplite": L4Protocol(rawValue: 136),
    ]
  }
}
