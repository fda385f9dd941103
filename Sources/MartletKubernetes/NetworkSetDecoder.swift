import MartletModel

extension NetworkSet {
  /// A `NetworkSet` or `GlobalNetworkSet` of `projectcalico.org`. Ranges that are not understood are left out.
  static func calico(
    _ object: ManifestValue, isGlobal: Bool, _ problems: inout FieldProblems
  ) throws(FieldError) -> NetworkSet {
    var reader = try SpecReader(object, fields: ["nets"])
    let namespace = isGlobal ? "" : reader.metadata.namespace
    let set = NetworkSet(
      name: NamespacedName(namespace: namespace, name: reader.metadata.name), labels: reader.calicoLabels(),
      prefixes: reader.elements("nets", of: .prefixOrAddress))
    problems = reader.problems
    return set
  }
}
