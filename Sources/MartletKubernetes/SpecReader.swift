import MartletModel

/// Reads the spec of an object field by field, so that what is understood counts even if something else is not.
///
/// Every mistake is noted, not only the first.
struct SpecReader {
  let metadata: ObjectMetadata
  private var found = FieldProblems()
  /// Whether everything so far was understood, but for the elements of lists that are read one by one.
  private(set) var isClear = true

  /// What is wrong.
  var problems: FieldProblems {
    var problems = found
    problems.areOfElements = isClear
    return problems
  }

  private let object: ManifestValue
  private let spec: ManifestValue

  /// Of `object`, whose spec has no fields besides `fields`.
  init(_ object: ManifestValue, fields: Set<String>) throws(FieldError) {
    metadata = try ObjectMetadata(object)
    self.object = object
    let empty = ManifestValue(content: .object([]), line: object.line)
    spec = found.attempt { () throws(FieldError) in try object.optional("spec", .object) ?? empty } ?? empty
    isClear = found.errors.isEmpty && metadata.problem == nil
    if let problem = metadata.problem { found.note(problem) }
    checkObject { (object) throws(FieldError) in
      try object.refuseMembers(besides: ["apiVersion", "kind", "metadata", "spec", "status"])
    }
    check { (spec) throws(FieldError) in try spec.refuseMembers(besides: fields) }
  }

  /// Runs a check on the whole object.
  mutating func checkObject(_ check: (ManifestValue) throws(FieldError) -> Void) {
    let object = object
    if found.attempt({ () throws(FieldError) in try check(object) }) == nil { isClear = false }
  }

  /// Runs a check on the spec.
  mutating func check(_ check: (ManifestValue) throws(FieldError) -> Void) {
    let spec = spec
    checkObject { (_) throws(FieldError) in
      do throws(FieldError) {
        try check(spec)
      } catch {
        throw error.inMember("spec")
      }
    }
  }

  /// The field called `name`; `nil` if it is absent, empty or not understood.
  mutating func optional<Value>(_ name: String, _ decoder: ValueDecoder<Value>) -> Value? {
    var value: Value?
    check { (spec) throws(FieldError) in value = try spec.nonempty(name, decoder) }
    return value
  }

  /// The field called `name`, which has to be there; `nil` if it is not understood.
  mutating func required<Value>(_ name: String, _ decoder: ValueDecoder<Value>) -> Value? {
    var value: Value?
    check { (spec) throws(FieldError) in value = try spec.required(name, decoder) }
    return value
  }

  /// Those values of the list called `name` that are understood.
  mutating func elements<Value>(_ name: String, of decoder: ValueDecoder<Value>) -> [Value] {
    elements(name) { (value, _) throws(FieldError) in try decoder.decode(value) }.compactMap { $0 }
  }

  /// What `decode` makes of each value of the list called `name`, `nil` where that is not understood. It may note
  /// problems itself, with paths from the value.
  mutating func elements<Value>(
    _ name: String, _ decode: (ManifestValue, inout FieldProblems) throws(FieldError) -> Value
  ) -> [Value?] {
    var values: [Value?] = []
    for (index, element) in (optional(name, .list(of: .any)) ?? []).enumerated() {
      var ofElement = FieldProblems()
      do throws(FieldError) {
        values.append(try decode(element, &ofElement))
      } catch {
        ofElement.note(error)
        values.append(nil)
      }
      found.adopt(ofElement) { $0.atIndex(index).inMember(name).inMember("spec") }
    }
    return values
  }

  /// The annotation called `name`; `nil` if it is absent or not understood.
  mutating func annotation<Value>(_ name: String, _ decoder: ValueDecoder<Value>) -> Value? {
    let object = object
    return found.attempt { () throws(FieldError) -> Value? in try object.annotation(name, decoder) } ?? nil
  }

  /// The labels of an object of Calico's, which nobody may give the names that policies go by.
  mutating func calicoLabels() -> [String: String] {
    let object = object
    let stored = found.attempt { () throws(FieldError) in try object.calicoStoredLabels() } ?? [:]
    var labels = metadata.labels.merging(stored) { own, _ in own }
    if labels.removeValue(forKey: PolicyLabel.namespace) != nil {
      checkObject { (object) throws(FieldError) in
        throw FieldError(object["metadata"] ?? object, "is not anybody's to set: objects have it from their namespace")
          .inMember(PolicyLabel.namespace).inMember("labels").inMember("metadata")
      }
    }
    return labels
  }
}

extension ManifestValue {
  /// The object's annotation called `name`; `nil` if it is absent.
  func annotation<Value>(_ name: String, _ decoder: ValueDecoder<Value>) throws(FieldError) -> Value? {
    try inside("metadata") { (metadata) throws(FieldError) in
      try metadata.inside("annotations") { (annotations) throws(FieldError) in
        try annotations.optional(name, decoder)
      }
    }
  }

  /// The labels that Calico keeps in an annotation where it stores an object as a custom resource.
  fileprivate func calicoStoredLabels() throws(FieldError) -> [String: String] {
    let metadata = try annotation(WellKnownName.calicoMetadata, .embeddedJSON)
    return try metadata?.optional("labels", .strings) ?? [:]
  }
}
