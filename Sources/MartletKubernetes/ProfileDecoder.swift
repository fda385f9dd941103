import MartletModel

extension Profile {
  /// A `Profile` of `projectcalico.org`. What is wrong with it makes it stricter, as with a policy.
  static func calico(_ object: ManifestValue, _ problems: inout FieldProblems) throws(FieldError) -> Profile {
    var reader = try SpecReader(object, fields: ["labelsToApply", "ingress", "egress"])
    var labels = reader.optional("labelsToApply", .strings) ?? [:]
    if labels.removeValue(forKey: PolicyLabel.namespace) != nil {
      reader.check { (spec) throws(FieldError) in
        throw FieldError(spec, "is not anybody's to set").inMember(PolicyLabel.namespace).inMember("labelsToApply")
      }
    }
    // The same rules, and the same care with those that are not understood.
    var policy = Policy(
      name: PolicyName(.globalNetworkPolicy, reader.metadata.namespacedName), subject: Policy.Subject(),
      directions: Set(PolicyDirection.allCases))
    policy.ingress = reader.calicoRules(.ingress, namespace: "")
    policy.egress = reader.calicoRules(.egress, namespace: "")
    policy = reader.closed(policy)
    problems = reader.problems
    return Profile(name: reader.metadata.name, labels: labels, ingress: policy.ingress, egress: policy.egress)
  }
}
