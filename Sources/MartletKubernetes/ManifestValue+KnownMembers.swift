extension ManifestValue {
  /// Throws if the object has a member that is none of `names`.
  ///
  /// Where a field that is overlooked would let through what its author meant to forbid.
  func refuseMembers(besides names: Set<String>) throws(FieldError) {
    guard case .object(let members) = content else {
      throw FieldError(self, "expected an object, found \(contentDescription)")
    }
    let unknown = members.filter { member in
      if case .null = member.value.content { return false }
      return !names.contains(member.name)
    }
    guard let first = unknown.first else { return }
    let others = unknown.dropFirst().map(\.name)
    let fields = others.isEmpty ? "is not a field here" : "is not a field here, nor \(others.joined(separator: ", "))"
    throw FieldError(first.value, "\(fields); expected one of \(names.sorted().joined(separator: ", "))")
      .inMember(first.name)
  }

  /// Throws unless the list called `name` has at most `count` values.
  func limit(_ name: String, to count: Int) throws(FieldError) {
    guard let list = self[name], case .list(let values) = list.content, values.count > count else { return }
    throw FieldError(list, "has \(values.count) values, more than \(count)").inMember(name)
  }

  /// The values of the list called `name`; `nil` if it is absent, null or empty.
  func nonemptyList<Value>(_ name: String, of decoder: ValueDecoder<Value>) throws(FieldError) -> [Value]? {
    let values = try list(name, of: decoder)
    return values.isEmpty ? nil : values
  }
}

extension ValueDecoder where Value == ManifestValue {
  /// Anything, as it is.
  static var any: Self { Self { (value) throws(FieldError) in value } }
}
