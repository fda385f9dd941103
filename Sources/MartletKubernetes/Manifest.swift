import MartletModel

/// What a file says: its objects, and what about it could not be understood.
struct Manifest: Sendable {
  /// An object and where it stands.
  struct Entry: Sendable {
    let resource: Resource
    /// As in `Service default/web`.
    let object: String
    let document: Int
    let line: Int
    /// Whether it may take the place of an earlier version: it was understood as a whole, or is a policy of which
    /// nothing but rules was not. If not it is what may be in force in place of nothing.
    let isSound: Bool
  }

  /// In the order of the file.
  private(set) var entries: [Entry] = []
  private(set) var problems: [ManifestProblem] = []
  /// The first object of each kind that is none of ours.
  private(set) var unknownKinds: [String: ManifestProblem] = [:]
  /// Objects that were not understood, or only in part.
  private var failed: Set<Resource.Key> = []
  /// The names of objects that may be policies of a kind that was not understood.
  private var unknownPolicies: Set<String> = []
  /// Whether something was not understood so far that it could be any object.
  private var isIncomplete = false

  private let file: String

  /// A file of which nothing is known but that it cannot be read.
  init(file: String, unreadable message: String) {
    self.file = file
    isIncomplete = true
    problems = [ManifestProblem(severity: .error, file: file, message: message)]
  }

  /// The file of this name with this text: JSON if the name ends so, or else YAML.
  init(file: String, text: [UInt8]) {
    self.file = file
    // The mark that some editors put in front.
    let bytes = text.starts(with: [0xef, 0xbb, 0xbf]) ? Array(text.dropFirst(3)) : text
    guard String(validating: bytes, as: UTF8.self) != nil else {
      note(ManifestSyntaxError(line: 1, message: "is not UTF-8"), document: 1)
      return
    }
    if file.hasSuffix(".json") {
      readJSON(bytes)
    } else {
      readYAML(bytes)
    }
  }

  private mutating func readJSON(_ text: [UInt8]) {
    var reader = JSONReader(text)
    var document = 1
    do {
      while let value = try reader.next() {
        read(value, document: document)
        document += 1
      }
    } catch {
      note(error, document: document)
    }
  }

  private mutating func readYAML(_ text: [UInt8]) {
    for (index, document) in YAMLReader.documents(text).enumerated() {
      do {
        if let value = try YAMLReader.read(document) { read(value, document: index + 1) }
      } catch {
        note(error, document: index + 1)
      }
    }
  }

  private mutating func note(_ error: ManifestSyntaxError, document: Int) {
    isIncomplete = true
    problems.append(
      ManifestProblem(
        severity: .error, file: file, document: document, line: error.line,
        message: error.message))
  }
}

// MARK: - Objects

extension Manifest {
  /// Reads a document: an object, or a list of them.
  private mutating func read(_ value: ManifestValue, document: Int) {
    if case .null = value.content { return }
    do throws(FieldError) {
      try read(value, document: document, inherited: nil)
    } catch {
      noteUnnamed(error, in: value, document: document)
    }
  }

  /// Reads an object, which throws if it isn't even known which one it is.
  ///
  /// - Parameter inherited: The version and kind that a list's items may leave out.
  private mutating func read(
    _ value: ManifestValue, document: Int, inherited: (apiVersion: String, kind: String)?
  ) throws(FieldError) {
    let object = try ValueDecoder.object.decode(value)
    let apiVersion = try object.word("apiVersion", default: inherited?.apiVersion)
    let kind = try object.word("kind", default: inherited?.kind)
    if kind.hasSuffix("List"), object["items"] != nil || object["metadata"]?["name"] == nil {
      try readItems(object, document: document, apiVersion: apiVersion, kind: kind)
    } else if let known = ObjectKind(apiVersion: apiVersion, kind: kind) {
      try read(object, as: known, document: document)
    } else if let known = ObjectKind(ofAnotherVersion: apiVersion, kind: kind), known.isPolicy {
      let versions = known.apiVersions.joined(separator: " or ")
      let error = FieldError(object["apiVersion"] ?? object, "\"\(apiVersion)\" is not \(versions)")
      try read(object, as: known, document: document, despite: error.inMember("apiVersion"))
    } else if UnknownKind.mayBePolicy(apiVersion: apiVersion, kind: kind) {
      try refuse(object, document: document, apiVersion: apiVersion, kind: kind)
    } else if unknownKinds["\(apiVersion) \(kind)"] == nil {
      unknownKinds["\(apiVersion) \(kind)"] = ManifestProblem(
        severity: .warning, file: file, document: document, line: object.line,
        message: "objects of kind \(kind) (\(apiVersion)) have no effect here"
          + (ObjectKind.meant(by: kind).map { "; did you mean kind \($0)?" } ?? ""))
    }
  }

  private mutating func readItems(
    _ list: ManifestValue, document: Int, apiVersion: String, kind: String
  ) throws(FieldError) {
    guard let items = list["items"] else { return }
    guard case .list(let values) = items.content else {
      throw FieldError(items, "expected a list, found \(items.contentDescription)").inMember("items")
    }
    // The items of a `List` are of any kind and say which; those of a `ServiceList` need not.
    let inherited = kind == "List" ? nil : (apiVersion, String(kind.dropLast("List".count)))
    for (index, item) in values.enumerated() {
      do throws(FieldError) {
        try read(item, document: document, inherited: inherited)
      } catch {
        noteUnnamed(error.atIndex(index).inMember("items"), in: item, document: document)
      }
    }
  }

  /// - Parameter version: What is wrong with the object's version, in spite of which it is known which object it is: a
  ///   policy then lets nothing through.
  private mutating func read(
    _ object: ManifestValue, as kind: ObjectKind, document: Int, despite version: FieldError? = nil
  ) throws(FieldError) {
    let metadata = try ObjectMetadata(object)
    let name = kind.description(metadata)
    var found = FieldProblems()
    var resource: Resource?
    do throws(FieldError) {
      resource = try kind.decode(object, &found)
    } catch {
      found.note(error)
    }
    if let version {
      // Of another version's fields nobody knows what they mean here.
      found = FieldProblems()
      found.note(version)
      if case .policy(let policy) = resource { resource = .policy(policy.withoutPassage) }
    }
    for error in found.errors { note(error, .error, of: name, document: document) }
    for warning in found.warnings + object.unknownAnnotations { note(warning, .warning, of: name, document: document) }
    let isSound = found.errors.isEmpty || (found.areOfElements && resource?.isPolicy ?? false)
    if !isSound { failed.insert(kind.key(metadata)) }
    guard let resource else { return }
    entries.append(Entry(resource: resource, object: name, document: document, line: object.line, isSound: isSound))
    if case .endpointSlice(let slice) = resource { noteStrayEndpoints(slice, entries[entries.endIndex - 1]) }
  }

  private mutating func refuse(
    _ object: ManifestValue, document: Int, apiVersion: String, kind: String
  ) throws(FieldError) {
    let metadata = try ObjectMetadata(object)
    unknownPolicies.insert(metadata.name)
    problems.append(
      ManifestProblem(
        severity: .error, file: file, document: document, line: object.line, object: "\(kind) \(metadata.name)",
        message: "there is no kind \(kind) in \(apiVersion), as far as known here; it is not in force"))
  }

  private mutating func note(
    _ error: FieldError, _ severity: ManifestProblem.Severity, of object: String, document: Int
  ) {
    problems.append(
      ManifestProblem(
        severity: severity, file: file, document: document, line: error.line, object: object,
        field: error.path.isEmpty ? nil : error.path, message: error.message))
  }

  private mutating func noteStrayEndpoints(_ slice: EndpointSlice, _ entry: Entry) {
    let strays = slice.endpoints.lazy.map(\.address).filter { $0.family != slice.family }
    guard let stray = strays.first else { return }
    problems.append(
      ManifestProblem(
        severity: .warning, file: file, document: entry.document, line: entry.line, object: entry.object,
        field: "endpoints", message: "\(stray) has no effect among endpoints with \(slice.family) addresses"))
  }

  /// - Parameter object: What it is about, which is not even known for sure to be an object.
  private mutating func noteUnnamed(_ error: FieldError, in object: ManifestValue, document: Int) {
    isIncomplete = true
    let words = [object["kind"], object["metadata"]?["name"]].compactMap { word -> String? in
      if case .string(let text)? = word?.content, !text.isEmpty { text } else { nil }
    }
    problems.append(
      ManifestProblem(
        severity: .error, file: file, document: document, line: error.line,
        object: words.isEmpty ? nil : words.joined(separator: " "),
        field: error.path.isEmpty ? nil : error.path, message: error.message))
  }
}

extension Resource {
  fileprivate var isPolicy: Bool { if case .policy = self { true } else { false } }
}

extension ManifestValue {
  /// The string called `name`, which may only be absent if there is a default.
  fileprivate func word(_ name: String, default word: String?) throws(FieldError) -> String {
    if let word, self[name] == nil { return word }
    return try required(name, .name)
  }
}

// MARK: - Last good versions

extension Manifest {
  /// Takes over from an earlier version of the file what this one leaves unclear: objects whose fields are wrong now,
  /// policies whose kind is, and every object that might be the one whose name could not be read.
  mutating func keepGoodObjects(of earlier: Manifest) {
    guard isIncomplete || !failed.isEmpty || !unknownPolicies.isEmpty else { return }
    let sound = Set(entries.lazy.filter(\.isSound).map(\.resource.key))
    let present = Set(entries.map(\.resource.key))
    let kept = earlier.entries.filter { entry in
      let key = entry.resource.key
      return entry.isSound ? !sound.contains(key) && isUnclear(key) : isIncomplete && !present.contains(key)
    }
    let keptKeys = Set(kept.map(\.resource.key))
    entries = kept + entries.filter { !keptKeys.contains($0.resource.key) }
  }

  /// Whether an object that is not here, or not as a whole, may be meant to be.
  private func isUnclear(_ key: Resource.Key) -> Bool {
    if case .policy(let policy) = key, unknownPolicies.contains(policy.name.name) { return true }
    return isIncomplete || failed.contains(key)
  }
}
