/// Reads JSON (RFC 8259) into ``ManifestValue``.
///
/// Foundation's readers give no lines, and Yams, which does and can read JSON too, takes seven times as long: with the
/// objects of a large cluster that is the time an agent needs to start.
struct JSONReader {
  private let text: [UInt8]
  private var position = 0
  private var line = 1
  private var depth = 0

  /// Deeper than any API object, and far from overflowing a thread's stack.
  private static let maximumDepth = 256

  /// - Parameter text: Valid UTF-8.
  init(_ text: [UInt8]) {
    self.text = text
  }

  /// The next value of the text, which may hold several one after the other. `nil` at the end.
  mutating func next() throws(ManifestSyntaxError) -> ManifestValue? {
    skipBlanks()
    return position == text.count ? nil : try value()
  }

  private mutating func value() throws(ManifestSyntaxError) -> ManifestValue {
    skipBlanks()
    let start = line
    let content: ManifestValue.Content =
      switch peek() {
      case UInt8(ascii: "{"): try object()
      case UInt8(ascii: "["): try list()
      case UInt8(ascii: "\""): .string(try string())
      case UInt8(ascii: "t"): try literal("true", .bool(true))
      case UInt8(ascii: "f"): try literal("false", .bool(false))
      case UInt8(ascii: "n"): try literal("null", .null)
      case UInt8(ascii: "-"): try number()
      case .some(UInt8(ascii: "0")...UInt8(ascii: "9")): try number()
      default: throw unexpected("a value")
      }
    return ManifestValue(content: content, line: start)
  }

  // MARK: Containers

  private mutating func object() throws(ManifestSyntaxError) -> ManifestValue.Content {
    var members: [ManifestValue.Member] = []
    try elements(closedBy: "}") { (reader: inout JSONReader) throws(ManifestSyntaxError) in
      guard reader.peek() == UInt8(ascii: "\"") else { throw reader.unexpected("a quoted name") }
      let name = try reader.string()
      reader.skipBlanks()
      guard reader.consume(":") else { throw reader.unexpected("':'") }
      members.append(ManifestValue.Member(name: name, value: try reader.value()))
    }
    if let repeated = Self.repeatedName(members) {
      throw ManifestSyntaxError(line: repeated.value.line, message: "the name \"\(repeated.name)\" occurs twice")
    }
    return .object(members)
  }

  private static func repeatedName(_ members: [ManifestValue.Member]) -> ManifestValue.Member? {
    if members.count <= 16 {
      for index in members.indices.dropFirst() {
        for earlier in 0..<index where members[earlier].name == members[index].name { return members[index] }
      }
      return nil
    }
    var seen: Set<String> = []
    return members.first { !seen.insert($0.name).inserted }
  }

  private mutating func list() throws(ManifestSyntaxError) -> ManifestValue.Content {
    var values: [ManifestValue] = []
    try elements(closedBy: "]") { (reader: inout JSONReader) throws(ManifestSyntaxError) in
      values.append(try reader.value())
    }
    return .list(values)
  }

  /// Reads what stands between an opening and a closing bracket, separated by commas.
  private mutating func elements(
    closedBy bracket: Unicode.Scalar, _ element: (inout JSONReader) throws(ManifestSyntaxError) -> Void
  ) throws(ManifestSyntaxError) {
    position += 1
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else {
      throw ManifestSyntaxError(line: line, message: "nested more than \(Self.maximumDepth) deep")
    }
    skipBlanks()
    if consume(bracket) { return }
    while true {
      skipBlanks()
      try element(&self)
      skipBlanks()
      if consume(bracket) { return }
      guard consume(",") else { throw unexpected("',' or '\(bracket)'") }
    }
  }

  // MARK: Scalars

  private mutating func literal(
    _ word: String, _ content: ManifestValue.Content
  ) throws(ManifestSyntaxError) -> ManifestValue.Content {
    guard text[position...].starts(with: word.utf8) else { throw unexpected("a value") }
    position += word.utf8.count
    return content
  }

  private mutating func number() throws(ManifestSyntaxError) -> ManifestValue.Content {
    let start = position
    _ = consume("-")
    if !consume("0") { try digits() }
    if consume(".") { try digits() }
    if consume("e") || consume("E") {
      _ = consume("+") || consume("-")
      try digits()
    }
    let written = String(decoding: text[start..<position], as: UTF8.self)
    return Int(written).map(ManifestValue.Content.integer) ?? .number(written)
  }

  private mutating func digits() throws(ManifestSyntaxError) {
    let start = position
    while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
    if position == start { throw unexpected("a digit") }
  }

  private mutating func string() throws(ManifestSyntaxError) -> String {
    let opened = line
    position += 1
    var start = position
    /// What precedes the last escape sequence, if there is one.
    var unescaped: String?
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        let rest = String(decoding: text[start..<position], as: UTF8.self)
        position += 1
        return unescaped.map { $0 + rest } ?? rest
      case UInt8(ascii: "\\"):
        let before = String(decoding: text[start..<position], as: UTF8.self)
        position += 1
        unescaped = (unescaped ?? "") + before + String(try escapeSequence())
        start = position
      case 0..<0x20:
        throw ManifestSyntaxError(line: line, message: "a string is not closed, or holds a control character")
      default:
        position += 1
      }
    }
    throw ManifestSyntaxError(line: opened, message: "a string is not closed")
  }

  private mutating func escapeSequence() throws(ManifestSyntaxError) -> Character {
    guard let byte = peek() else { throw unexpected("an escape sequence") }
    position += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return Character(try escapedScalar())
    default:
      position -= 1
      throw unexpected("an escape sequence")
    }
  }

  /// What `\u` stands for, with its other half if it is the first of a surrogate pair.
  private mutating func escapedScalar() throws(ManifestSyntaxError) -> Unicode.Scalar {
    var units = [try codeUnit()]
    if UTF16.isLeadSurrogate(units[0]), consume("\\"), consume("u") {
      units.append(try codeUnit())
    }
    let decoded = String(validating: units, as: UTF16.self)?.unicodeScalars
    guard let decoded, decoded.count == 1, let scalar = decoded.first else {
      throw ManifestSyntaxError(line: line, message: "half of a surrogate pair")
    }
    return scalar
  }

  private mutating func codeUnit() throws(ManifestSyntaxError) -> UInt16 {
    let digits = text[position...].prefix(4)
    // All hexadecimal: the parser alone would take a sign.
    guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw unexpected("four hexadecimal digits") }
    position += 4
    return unit
  }

  // MARK: Bytes

  private func peek() -> UInt8? {
    position < text.count ? text[position] : nil
  }

  private mutating func consume(_ byte: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: byte) else { return false }
    position += 1
    return true
  }

  private mutating func skipBlanks() {
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\n"): line += 1
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
      default: return
      }
      position += 1
    }
  }

  private func unexpected(_ expected: String) -> ManifestSyntaxError {
    let found = String(decoding: text[position...].prefix(16).prefix { $0 >= 0x20 }, as: UTF8.self)
    return ManifestSyntaxError(
      line: line, message: "expected \(expected), found \(found.isEmpty ? "the end of the line" : "'\(found)'")")
  }
}
