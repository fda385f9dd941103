import MartletModel

extension Policy {
  /// A `NetworkPolicy` or `GlobalNetworkPolicy` of `projectcalico.org`, or one that is staged.
  static func calico(
    _ object: ManifestValue, as kind: PolicyName.Kind, _ problems: inout FieldProblems
  ) throws(FieldError) -> Policy {
    let isGlobal = kind == .globalNetworkPolicy || kind == .stagedGlobalNetworkPolicy
    let isStaged = kind == .stagedNetworkPolicy || kind == .stagedGlobalNetworkPolicy
    var reader = try SpecReader(object, fields: CalicoPolicyField.all(isGlobal: isGlobal, isStaged: isStaged))
    let namespace = isGlobal ? "" : reader.metadata.namespace
    let subject = reader.subject(isNamespaced: !isGlobal, CalicoPolicyField.conditions(isGlobal: isGlobal))
    var policy = Policy(
      name: PolicyName(kind, NamespacedName(namespace: namespace, name: reader.metadata.name)),
      tier: reader.optional("tier", .name) ?? Tier.standard.name, order: reader.optional("order", .double),
      subject: Subject(subject, workloadsOnly: !isGlobal), directions: [],
      ingress: reader.calicoRules(.ingress, namespace: namespace),
      egress: reader.calicoRules(.egress, namespace: namespace), rejects: reader.rejects())
    policy.directions = reader.directions("types", default: policy.standardDirections)
    policy.stage = reader.calicoStage(policy)
    _ = reader.optional("performanceHints", .list(of: ValueDecoder<String>.string))
    if isStaged { policy.stage(&reader) }
    problems = reader.problems
    return reader.closed(policy)
  }

  /// What the types are where they are left out.
  private var standardDirections: Set<PolicyDirection> {
    if egress.isEmpty { return [.ingress] }
    return ingress.isEmpty ? [.egress] : [.ingress, .egress]
  }

  /// Makes it a policy to be looked at only.
  ///
  /// One that is staged to be deleted, or to be ignored, has nothing to say of any packet.
  mutating func stage(_ reader: inout SpecReader) {
    isStaged = true
    let action: StagedAction = reader.optional("stagedAction", .choice) ?? .set
    if action == .delete || action == .ignore { directions = [] }
    stagesDeletion = action == .delete
  }
}

private enum StagedAction: String, CaseIterable {
  case set = "Set"
  case delete = "Delete"
  case learn = "Learn"
  case ignore = "Ignore"
}

private enum CalicoPolicyField {
  static func all(isGlobal: Bool, isStaged: Bool) -> Set<String> {
    var fields: Set = [
      "tier", "order", "selector", "serviceAccountSelector", "types", "ingress", "egress", "performanceHints",
    ]
    if isGlobal { fields.formUnion(["namespaceSelector", "applyOnForward", "preDNAT", "doNotTrack"]) }
    if isStaged { fields.insert("stagedAction") }
    return fields
  }

  static func conditions(isGlobal: Bool) -> [(field: String, decoder: ValueDecoder<Selector>)] {
    let selectors = [("selector", ValueDecoder.selector()), ("serviceAccountSelector", .selector(of: .serviceAccount))]
    return isGlobal ? selectors + [("namespaceSelector", .selector(of: .namespace))] : selectors
  }
}

extension SpecReader {
  /// The rules of a direction as `projectcalico.org` has them.
  mutating func calicoRules(_ direction: PolicyDirection, namespace: String) -> [PolicyRule] {
    rules(direction, limit: 1024, actions: PolicyRule.calicoActions) { (rule, problems) throws(FieldError) in
      [try PolicyRule.calico(rule, direction, namespace: namespace, &problems)]
    }
  }

  /// Which traffic of a host endpoint a global policy sees.
  fileprivate mutating func calicoStage(_ policy: Policy) -> Policy.Stage {
    let appliesOnForward = optional("applyOnForward", .bool) ?? false
    let isBeforeNAT = optional("preDNAT", .bool) ?? false
    let isUntracked = optional("doNotTrack", .bool) ?? false
    check { (spec) throws(FieldError) in
      func complain(_ field: String, _ message: String) -> FieldError {
        FieldError(spec[field] ?? spec, message).inMember(field)
      }
      if isBeforeNAT, isUntracked { throw complain("preDNAT", "excludes doNotTrack") }
      if isBeforeNAT, !appliesOnForward { throw complain("preDNAT", "needs applyOnForward: true") }
      if isUntracked, !appliesOnForward { throw complain("doNotTrack", "needs applyOnForward: true") }
      if isBeforeNAT, policy.directions.contains(.egress) { throw complain("preDNAT", "is for ingress only") }
    }
    if isUntracked { return .doNotTrack }
    if isBeforeNAT { return .preDNAT }
    return appliesOnForward ? .applyOnForward : .normal
  }
}
