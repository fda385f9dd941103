import Yams

/// Reads YAML into ``ManifestValue``, with the scalars meaning what they mean to `kubectl`.
enum YAMLReader {
  /// A document of a file.
  struct Document {
    let text: String
    /// The line of the file that the first line of `text` is.
    let firstLine: Int
  }

  /// The documents of a file: what stands between lines that begin with `---`.
  ///
  /// Each is parsed on its own, so that a syntax error in one leaves the others. Those that hold nothing but blanks,
  /// comments and directives are left out.
  static func documents(_ text: [UInt8]) -> [Document] {
    var documents: [Document] = []
    var start = text.startIndex
    var firstLine = 1
    var hasContent = false
    func finish(at end: Int) {
      guard hasContent else { return }
      documents.append(Document(text: String(decoding: text[start..<end], as: UTF8.self), firstLine: firstLine))
    }
    let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let isEnd = isMarker("...", line)
      if isEnd || isMarker("---", line) {
        finish(at: line.startIndex)
        start = isEnd ? min(line.endIndex + 1, text.endIndex) : line.startIndex
        firstLine = index + (isEnd ? 2 : 1)
        hasContent = false
      }
      hasContent = hasContent || isContent(line)
    }
    finish(at: text.endIndex)
    return documents
  }

  private static func isMarker(_ marker: String, _ line: ArraySlice<UInt8>) -> Bool {
    line.starts(with: marker.utf8) && (line.dropFirst(3).first.map(isBlank) ?? true)
  }

  private static func isContent(_ line: ArraySlice<UInt8>) -> Bool {
    if line.first == UInt8(ascii: "%") || isMarker("...", line) { return false }
    let text = (isMarker("---", line) ? line.dropFirst(3) : line).drop(while: isBlank)
    return !text.isEmpty && text.first != UInt8(ascii: "#")
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
  }

  /// The value of a document; `nil` if it has none.
  static func read(_ document: Document) throws(ManifestSyntaxError) -> ManifestValue? {
    let root: Yams.Node?
    do {
      // Without rules for scalars, which are regular expressions and take longer than all the rest; `content(of:)` has
      // its own. The default encoding would be looked up in the environment each time.
      root = try Yams.compose(yaml: document.text, .basic, .default, .utf8)
    } catch {
      throw syntaxError(error, in: document)
    }
    var converter = Converter(lineOffset: document.firstLine - 1)
    return try root.map { node throws(ManifestSyntaxError) in try converter.value(node) }
  }

  private static func syntaxError(_ error: any Error, in document: Document) -> ManifestSyntaxError {
    let text = document.text.utf8
    let lineCount = text.count { $0 == UInt8(ascii: "\n") } + (text.last == UInt8(ascii: "\n") ? 0 : 1)
    /// The line of the file. What isn't closed is missed after the last one.
    func line(_ mark: Mark) -> Int { document.firstLine - 1 + min(mark.line, lineCount) }
    return switch error as? YamlError {
    case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      ManifestSyntaxError(
        line: line(mark), message: context.map { "\(problem) \($0.text), line \(line($0.mark))" } ?? problem)
    case .duplicatedKeysInMapping(let names, let context):
      ManifestSyntaxError(
        line: line(context.mark), message: "\(names.map { "the name \"\($0)\"" }.joined(separator: ", ")) occurs twice")
    case .reader(let problem, _, _, _): ManifestSyntaxError(line: document.firstLine, message: problem)
    default: ManifestSyntaxError(line: document.firstLine, message: "\(error)")
    }
  }
}

extension YAMLReader {
  /// Turns the nodes of one document into values.
  private struct Converter {
    let lineOffset: Int
    /// Values converted. An alias is a value each time it is used, and aliases of aliases grow without bound.
    private var count = 0

    private static let maximumCount = 10_000_000

    init(lineOffset: Int) {
      self.lineOffset = lineOffset
    }

    mutating func value(_ node: Yams.Node) throws(ManifestSyntaxError) -> ManifestValue {
      let line = (node.mark?.line ?? 1) + lineOffset
      count += 1
      guard count <= Self.maximumCount else {
        throw ManifestSyntaxError(line: line, message: "the document has more than \(Self.maximumCount) values")
      }
      let content: ManifestValue.Content
      switch node {
      case .scalar(let scalar): content = YAMLReader.content(of: scalar)
      case .sequence(let sequence):
        var values: [ManifestValue] = []
        for element in sequence { values.append(try value(element)) }
        content = .list(values)
      case .mapping(let mapping): content = .object(try members(mapping))
      case .alias: throw ManifestSyntaxError(line: line, message: "an alias that refers to nothing")
      }
      return ManifestValue(content: content, line: line)
    }

    private mutating func members(_ mapping: Yams.Node.Mapping) throws(ManifestSyntaxError) -> [ManifestValue.Member] {
      var members: [ManifestValue.Member] = []
      var merged: [ManifestValue.Member] = []
      for (name, element) in mapping {
        guard let name = name.scalar else {
          throw ManifestSyntaxError(line: (name.mark?.line ?? 1) + lineOffset, message: "a name is not a scalar")
        }
        let value = try value(element)
        if name.string == "<<", name.style == .plain {
          merged += Self.members(mergedFrom: value)
        } else {
          members.append(ManifestValue.Member(name: name.string, value: value))
        }
      }
      for member in merged where !members.contains(where: { $0.name == member.name }) { members.append(member) }
      return members
    }

    /// What `<<` brings in: the members of an object, or of several of which the first that has a name counts.
    private static func members(mergedFrom value: ManifestValue) -> [ManifestValue.Member] {
      switch value.content {
      case .object(let members): members
      case .list(let values): values.flatMap(members(mergedFrom:))
      default: []
      }
    }
  }

  /// What a scalar means: a string if it is quoted or tagged as one, or else what it looks like.
  private static func content(of scalar: Yams.Node.Scalar) -> ManifestValue.Content {
    let text = scalar.string
    guard scalar.style == .plain, scalar.tag.rawValue != "tag:yaml.org,2002:str" else { return .string(text) }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    // YAML 1.1, which kubectl goes by, but for single letters: those who write YAML take them for text, and are right
    // more often than those who mean a truth value by them.
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": return .bool(true)
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": return .bool(false)
    default: return number(text) ?? .string(text)
    }
  }

  private static func number(_ text: String) -> ManifestValue.Content? {
    guard let first = text.utf8.first, text.utf8.contains(where: { (0x30...0x39).contains($0) }),
      (0x30...0x39).contains(first) || [UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ".")].contains(first)
    else { return nil }
    if let integer = Int(text), String(integer) == text { return .integer(integer) }
    return Double(text) == nil ? nil : .number(text)
  }
}
