/// A piece of a selector's text.
struct SelectorToken: Equatable {
  enum Kind: Equatable {
    /// A label's key, or a word such as `in`.
    case word(String)
    /// A quoted value.
    case value(String)
    /// An operator, a bracket or a comma.
    case symbol(String)
    case end
  }

  let kind: Kind
  /// Of its first character, counted from 1.
  let column: Int
  /// Whether it follows the one before without a blank between.
  let isAdjacent: Bool

  /// As an error message says it.
  var found: String {
    switch kind {
    case .word(let text): "found \(text)"
    case .value: "found a quoted value"
    case .symbol(let text): "found \(text)"
    case .end: "found the end"
    }
  }
}

/// Cuts a selector's text into tokens.
struct SelectorScanner {
  /// Longer keys are refused.
  private static let maximumKeyLength = 512
  private static let symbols = ["==", "!=", "&&", "||", "!", "(", ")", "{", "}", ","]

  private let text: [Character]
  private var position = 0

  private init(_ text: String) {
    self.text = Array(text)
  }

  /// The tokens of `text`, the last of which is the end.
  static func tokens(_ text: String) throws(SelectorSyntaxError) -> [SelectorToken] {
    var scanner = SelectorScanner(text)
    var tokens: [SelectorToken] = []
    while true {
      let token = try scanner.next()
      tokens.append(token)
      if token.kind == .end { return tokens }
    }
  }

  private mutating func next() throws(SelectorSyntaxError) -> SelectorToken {
    let start = position
    while position < text.count, text[position] == " " || text[position] == "\t" { position += 1 }
    let isAdjacent = start == position
    let column = position + 1
    let kind = try scan()
    return SelectorToken(kind: kind, column: column, isAdjacent: isAdjacent)
  }

  private mutating func scan() throws(SelectorSyntaxError) -> SelectorToken.Kind {
    guard position < text.count else { return .end }
    let first = text[position]
    if first == "'" || first == "\"" { return .value(try quoted(by: first)) }
    if Self.isKeyCharacter(first) { return .word(try word()) }
    if let symbol = Self.symbols.first(where: { text[position...].starts(with: $0) }) {
      position += symbol.count
      return .symbol(symbol)
    }
    throw error(Self.complaint(first))
  }

  private mutating func quoted(by quote: Character) throws(SelectorSyntaxError) -> String {
    guard let end = text[(position + 1)...].firstIndex(of: quote) else {
      throw error("the value that begins here is not closed by \(quote)")
    }
    defer { position = end + 1 }
    return String(text[(position + 1)..<end])
  }

  private mutating func word() throws(SelectorSyntaxError) -> String {
    let end = text[position...].firstIndex { !Self.isKeyCharacter($0) } ?? text.count
    guard end - position <= Self.maximumKeyLength else {
      throw error("the key of a label has more than \(Self.maximumKeyLength) characters")
    }
    defer { position = end }
    return String(text[position..<end])
  }

  private func error(_ message: String) -> SelectorSyntaxError {
    SelectorSyntaxError(column: position + 1, message: message)
  }

  private static func isKeyCharacter(_ character: Character) -> Bool {
    character.isASCII && (character.isLetter || character.isNumber || "_./-".contains(character))
  }

  private static func complaint(_ character: Character) -> String {
    switch character {
    case "&": "expected &&, found a single &"
    case "|": "expected ||, found a single |"
    case "=": "expected ==, found a single ="
    case _ where character.isNewline: "a selector has to be on one line"
    default: "\(character) has no meaning in a selector; a value goes between quotes"
    }
  }
}
