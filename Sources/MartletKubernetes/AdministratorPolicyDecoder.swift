import MartletModel

/// What differs between the policies that administrators write: those of `policy.networking.k8s.io`.
struct AdministratorPolicyForm {
  let kind: PolicyName.Kind
  /// Its own fields of the spec.
  let fields: Set<String>
  let actions: [String: PolicyRule.Action]
  /// How many rules in a direction, peers, ranges of addresses, and ports there may be.
  let limit: Int
  /// The field of a rule with protocols and ports, and how to read one.
  let portsField: String
  let port: ValueDecoder<ProtocolPort>

  static var cluster: Self {
    Self(
      kind: .clusterNetworkPolicy, fields: ["tier", "priority"],
      actions: ["Accept": .allow, "Deny": .deny, "Pass": .pass], limit: 25, portsField: "protocols",
      port: .clusterNetworkPolicyPort)
  }

  static var admin: Self {
    Self(
      kind: .adminNetworkPolicy, fields: ["priority"], actions: ["Allow": .allow, "Deny": .deny, "Pass": .pass],
      limit: 100, portsField: "ports", port: .adminNetworkPolicyPort)
  }

  static var baseline: Self {
    Self(
      kind: .baselineAdminNetworkPolicy, fields: [], actions: ["Allow": .allow, "Deny": .deny], limit: 100,
      portsField: "ports", port: .adminNetworkPolicyPort)
  }
}

extension Policy {
  /// A `ClusterNetworkPolicy`.
  static func clusterNetworkPolicy(
    _ object: ManifestValue, _ problems: inout FieldProblems
  ) throws(FieldError) -> Policy {
    try administrator(object, .cluster, &problems) { reader, policy in
      let tier: AdministratorTier? = reader.required("tier", .choice)
      policy.tier = (tier == .baseline ? Tier.kubernetesBaseline : Tier.kubernetesAdmin).name
      policy.order = reader.priority()
    }
  }

  /// An `AdminNetworkPolicy`, which `ClusterNetworkPolicy` supersedes.
  static func adminNetworkPolicy(
    _ object: ManifestValue, _ problems: inout FieldProblems
  ) throws(FieldError) -> Policy {
    try administrator(object, .admin, &problems) { reader, policy in
      policy.tier = Tier.kubernetesAdmin.name
      policy.order = reader.priority()
    }
  }

  /// The `BaselineAdminNetworkPolicy`, of which there is one in a cluster.
  static func baselineAdminNetworkPolicy(
    _ object: ManifestValue, _ problems: inout FieldProblems
  ) throws(FieldError) -> Policy {
    try administrator(object, .baseline, &problems) { reader, policy in
      policy.tier = Tier.kubernetesBaseline.name
      let name = reader.metadata.name
      reader.checkObject { (object) throws(FieldError) in
        guard name == "default" else {
          throw FieldError(object["metadata"] ?? object, "has to be default: there is one object of this kind")
            .inMember("name").inMember("metadata")
        }
      }
    }
  }

  private static func administrator(
    _ object: ManifestValue, _ form: AdministratorPolicyForm, _ problems: inout FieldProblems,
    _ place: (inout SpecReader, inout Policy) -> Void
  ) throws(FieldError) -> Policy {
    var reader = try SpecReader(object, fields: form.fields.union(["subject", "ingress", "egress"]))
    let subject = reader.subject(isNamespaced: false, isRequired: true, [("subject", .podsSubject)])
    var policy = Policy(
      name: PolicyName(form.kind, NamespacedName(namespace: "", name: reader.metadata.name)),
      subject: Subject(subject, workloadsOnly: true), directions: [], rejects: reader.rejects())
    policy.ingress = reader.rules(.ingress, form)
    policy.egress = reader.rules(.egress, form)
    // Without rules, unlike Kubernetes' other policies, it has no effect.
    policy.directions = Set(PolicyDirection.allCases.filter { !policy.rules($0).isEmpty })
    place(&reader, &policy)
    problems = reader.problems
    return reader.closed(policy)
  }
}

private enum AdministratorTier: String, CaseIterable {
  case admin = "Admin"
  case baseline = "Baseline"
}

extension SpecReader {
  /// The order; the first of all if it is not understood, since then the policy only denies.
  fileprivate mutating func priority() -> Double {
    Double(required("priority", .integer(in: 0...1000, called: "a priority")) ?? 0)
  }

  fileprivate mutating func rules(
    _ direction: PolicyDirection, _ form: AdministratorPolicyForm
  ) -> [PolicyRule] {
    rules(direction, limit: form.limit, actions: form.actions) { (rule, problems) throws(FieldError) in
      try AdministratorRule(rule, direction, form, &problems).rules
    }
  }
}

/// A rule of an administrator's policy.
private struct AdministratorRule {
  let rules: [PolicyRule]

  init(
    _ rule: ManifestValue, _ direction: PolicyDirection, _ form: AdministratorPolicyForm,
    _ problems: inout FieldProblems
  ) throws(FieldError) {
    let field = direction == .ingress ? "from" : "to"
    try rule.refuseMembers(besides: ["name", "action", field, form.portsField])
    _ = try rule.optional("name", .string)
    let action = try rule.required("action", .action(form.actions))
    let ports = try Self.ports(rule, form)
    let peers = try Self.peers(rule, field, direction, form)
    var entities: [EntityMatch] = []
    var isClosed = false
    for (index, peer) in peers.enumerated() {
      switch peer {
      case .pods(let entity): entities.append(entity)
      case .addresses(let entity):
        try Self.refuseNames(ports, rule, form)
        entities.append(entity)
      case .domainNames(let warning):
        try Self.refuseNames(ports, rule, form)
        guard action == .allow else {
          throw FieldError(rule, "may only be in rules that accept").inMember("domainNames").atIndex(index)
            .inMember(field)
        }
        problems.warn(warning.atIndex(index).inMember(field))
      case .unknown(let warning):
        isClosed = true
        problems.warn(warning.atIndex(index).inMember(field))
      }
    }
    isClosed = isClosed || entities.isEmpty
    rules = isClosed ? [.closed(action)] : PolicyRule.alternatives(action, direction, peers: entities, ports: ports)
  }

  private static func ports(
    _ rule: ManifestValue, _ form: AdministratorPolicyForm
  ) throws(FieldError) -> [ProtocolPort]? {
    try rule.limit(form.portsField, to: form.limit)
    guard let ports = try rule.optional(form.portsField, .list(of: form.port)) else { return nil }
    if ports.isEmpty { throw FieldError(rule, "is empty; leave it out for every protocol").inMember(form.portsField) }
    return ports
  }

  private static func peers(
    _ rule: ManifestValue, _ field: String, _ direction: PolicyDirection, _ form: AdministratorPolicyForm
  ) throws(FieldError) -> [AdministratorPeer] {
    try rule.limit(field, to: form.limit)
    let peers = try rule.required(field, .list(of: .administratorPeer(direction, limit: form.limit)))
    if peers.isEmpty { throw FieldError(rule, "has to have a peer").inMember(field) }
    return peers
  }

  private static func refuseNames(
    _ ports: [ProtocolPort]?, _ rule: ManifestValue, _ form: AdministratorPolicyForm
  ) throws(FieldError) {
    for (index, port) in (ports ?? []).enumerated() {
      guard case .named(let name) = port.port else { continue }
      throw FieldError(rule, "nodes, networks and domain names have no port called \(name)").atIndex(index)
        .inMember(form.portsField)
    }
  }
}
