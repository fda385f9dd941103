import MartletModel

extension Tier {
  /// A `Tier` of `projectcalico.org`; `nil` for one that is there without anybody creating it.
  ///
  /// One that is not understood ends with Deny. Without an order that is understood there is none, and the policies that
  /// name it come last.
  static func calico(_ object: ManifestValue, _ problems: inout FieldProblems) throws(FieldError) -> Tier? {
    var reader = try SpecReader(object, fields: ["order", "defaultAction"])
    var order: Double?
    var isOrdered = false
    reader.check { (spec) throws(FieldError) in
      order = try spec.optional("order", .double)
      isOrdered = true
    }
    let end: End? = reader.optional("defaultAction", .tierEnd)
    let tier = Tier(name: reader.metadata.name, order: order, end: reader.isClear ? end ?? .deny : .deny)
    guard let fixed = Tier.builtIn.first(where: { $0.name == tier.name }) else {
      problems = reader.problems
      return isOrdered ? tier : nil
    }
    if reader.isClear, tier != fixed {
      reader.check { (spec) throws(FieldError) in
        throw FieldError(
          spec,
          "tier \(fixed.name) cannot be changed: its order is \(Int(fixed.order ?? 0)), its defaultAction "
            + fixed.end.rawValue)
      }
    }
    problems = reader.problems
    return nil
  }
}

extension ValueDecoder where Value == Tier.End {
  fileprivate static var tierEnd: Self { Self(text: "one of Deny, Pass") { Tier.End(rawValue: $0) } }
}

extension ValueDecoder where Value == Double {
  /// A number.
  static var double: Self {
    Self { (value) throws(FieldError) in
      switch value.content {
      case .integer(let number): return Double(number)
      case .number(let text):
        if let number = Double(text), number.isFinite { return number }
      default: break
      }
      throw FieldError(value, "expected a number, found \(value.contentDescription)")
    }
  }
}
