/// A value of a manifest, be it written in YAML or in JSON, and where it stands.
///
/// The line is what this adds to what parsers commonly return: a mistake is reported with the place to correct it.
struct ManifestValue: Sendable {
  enum Content: Sendable {
    case null
    case bool(Bool)
    case integer(Int)
    /// A number that is no `Int`, as written.
    case number(String)
    case string(String)
    case list([ManifestValue])
    case object([Member])
  }

  struct Member: Sendable {
    let name: String
    let value: ManifestValue
  }

  var content: Content
  /// Counted from 1 in the file.
  let line: Int

  /// The member called `name`, unless it is absent or null, which mean the same in an API object.
  ///
  /// A linear search: objects have few members, and most lookups find theirs among the first.
  subscript(name: String) -> ManifestValue? {
    guard case .object(let members) = content, let member = members.first(where: { $0.name == name }) else {
      return nil
    }
    if case .null = member.value.content { return nil }
    return member.value
  }

  /// What it is, as an error message says it.
  var contentDescription: String {
    switch content {
    case .null: "nothing"
    case .bool(let value): "\(value)"
    case .integer(let value): "the number \(value)"
    case .number(let text): "the number \(text)"
    case .string(let text): "\"\(text)\""
    case .list: "a list"
    case .object: "an object"
    }
  }
}
