import MartletModel

/// What a label selector of Kubernetes is about, which decides what its keys stand for.
enum LabelSelectorScope {
  /// Labels of the object itself.
  case own
  /// Labels of its namespace.
  case namespace
  /// Labels of its service account.
  case serviceAccount

  /// The key that policies see of the label called `key`.
  ///
  /// The names of the namespace and of the service account are labels that always are there and that nobody can set,
  /// so that conditions on the labels of that meaning become conditions on those.
  func key(_ key: String) -> String {
    switch self {
    case .own: key
    case .namespace where key == WellKnownName.namespaceName || key == WellKnownName.calicoName: PolicyLabel.namespace
    case .namespace: PolicyLabel.ownNamespacePrefix + key
    case .serviceAccount where key == WellKnownName.calicoName: PolicyLabel.serviceAccount
    case .serviceAccount: PolicyLabel.ownServiceAccountPrefix + key
    }
  }
}

extension ValueDecoder where Value == Selector {
  /// A `LabelSelector` of Kubernetes. An empty one is always true.
  static func labels(of scope: LabelSelectorScope = .own) -> Self {
    Self { (object) throws(FieldError) in
      try object.refuseMembers(besides: ["matchLabels", "matchExpressions"])
      let labels = try object.optional("matchLabels", .strings) ?? [:]
      let equalities = labels.sorted { $0.key < $1.key }.map { Selector.equals(scope.key($0.key), $0.value) }
      let expressions = try object.list("matchExpressions", of: .expression(scope))
      return Selector.and(equalities + expressions).canonical
    }
  }

  private static func expression(_ scope: LabelSelectorScope) -> Self {
    Self { (object) throws(FieldError) in
      try object.refuseMembers(besides: ["key", "operator", "values"])
      let key = scope.key(try object.required("key", .name))
      let comparison: LabelOperator = try object.required("operator", .choice)
      let values = try object.list("values", of: .string)
      switch comparison {
      case .isIn, .notIn:
        guard !values.isEmpty else { throw FieldError(object, "has to have a value").inMember("values") }
        return comparison == .isIn ? .member(key, values) : .not(.member(key, values))
      case .exists, .doesNotExist:
        guard values.isEmpty else {
          throw FieldError(object, "has no meaning with operator \(comparison.rawValue)").inMember("values")
        }
        return comparison == .exists ? .has(key) : .not(.has(key))
      }
    }
  }
}

private enum LabelOperator: String, CaseIterable {
  case isIn = "In"
  case notIn = "NotIn"
  case exists = "Exists"
  case doesNotExist = "DoesNotExist"
}
