/// Makes a selector of tokens, by recursive descent.
struct SelectorParser {
  private let tokens: [SelectorToken]
  private var index = 0
  private var depth = 0

  /// Parentheses within each other: more than anybody writes, and far from overflowing a thread's stack.
  private static let maximumDepth = 100

  init(_ text: String) throws(SelectorSyntaxError) {
    tokens = try SelectorScanner.tokens(text)
  }

  /// The whole text.
  mutating func parse() throws(SelectorSyntaxError) -> Selector {
    if token.kind == .end { return .all }
    let selector = try alternatives()
    guard token.kind == .end else { throw unexpected("&&, || or the end") }
    return selector
  }

  // MARK: Expressions

  private mutating func alternatives() throws(SelectorSyntaxError) -> Selector {
    var selectors = [try conjunction()]
    while consume("||") { selectors.append(try conjunction()) }
    return selectors.count == 1 ? selectors[0] : .or(selectors)
  }

  private mutating func conjunction() throws(SelectorSyntaxError) -> Selector {
    var selectors = [try operand()]
    while consume("&&") { selectors.append(try operand()) }
    return selectors.count == 1 ? selectors[0] : .and(selectors)
  }

  /// A single test or a parenthesis, with any number of `!` before it, of which two cancel.
  private mutating func operand() throws(SelectorSyntaxError) -> Selector {
    var isNegated = false
    while consume("!") { isNegated.toggle() }
    let selector = consume("(") ? try parenthesis() : try test()
    return isNegated ? .not(selector) : selector
  }

  private mutating func parenthesis() throws(SelectorSyntaxError) -> Selector {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else {
      throw SelectorSyntaxError(
        column: tokens[index - 1].column, message: "more than \(Self.maximumDepth) parentheses within each other")
    }
    if token.kind == .symbol(")") { throw unexpected("a condition between the parentheses") }
    let selector = try alternatives()
    guard consume(")") else { throw unexpected("&&, || or )") }
    return selector
  }

  // MARK: Tests

  private mutating func test() throws(SelectorSyntaxError) -> Selector {
    let key = try word("a label's key, has(KEY), all(), ! or (")
    guard token.kind == .symbol("("), token.isAdjacent else { return try comparison(key) }
    switch key {
    case "all":
      index += 1
      try close()
      return .all
    case "has":
      index += 1
      let key = try word("a label's key")
      try close()
      return .has(key)
    case "global":
      throw SelectorSyntaxError(
        column: tokens[index - 1].column,
        message: "global() may only be the whole of the namespaceSelector of a rule's source or destination")
    default:
      throw SelectorSyntaxError(
        column: tokens[index - 1].column, message: "\(key)() is no test; expected has(KEY) or all()")
    }
  }

  private mutating func close() throws(SelectorSyntaxError) {
    guard consume(")") else { throw unexpected(")") }
  }

  private mutating func comparison(_ key: String) throws(SelectorSyntaxError) -> Selector {
    if consume("==") { return .equals(key, try value()) }
    if consume("!=") { return .not(.equals(key, try value())) }
    if consumeWords("in") { return .member(key, try values()) }
    if consumeWords("notin") || consumeWords("not", "in") { return .not(.member(key, try values())) }
    if consumeWords("contains") { return .contains(key, try value()) }
    if consumeWords("startswith") || consumeWords("starts", "with") { return .startsWith(key, try value()) }
    if consumeWords("endswith") || consumeWords("ends", "with") { return .endsWith(key, try value()) }
    throw unexpected("==, !=, in, not in, contains, starts with or ends with after the label \(key)")
  }

  /// A set, in which a comma may follow the last value.
  private mutating func values() throws(SelectorSyntaxError) -> [String] {
    guard consume("{") else { throw unexpected("{") }
    var values: [String] = []
    while !consume("}") {
      guard case .value(let value) = token.kind else { throw unexpected("a quoted value or }") }
      values.append(value)
      index += 1
      if consume(",") { continue }
      guard token.kind == .symbol("}") else { throw unexpected("a comma or }") }
    }
    return values
  }

  private mutating func value() throws(SelectorSyntaxError) -> String {
    guard case .value(let value) = token.kind else { throw unexpected("a quoted value") }
    index += 1
    return value
  }

  // MARK: Tokens

  private var token: SelectorToken { tokens[index] }

  private mutating func word(_ expected: String) throws(SelectorSyntaxError) -> String {
    guard case .word(let word) = token.kind else { throw unexpected(expected) }
    index += 1
    return word
  }

  private mutating func consume(_ symbol: String) -> Bool {
    guard token.kind == .symbol(symbol) else { return false }
    index += 1
    return true
  }

  private mutating func consumeWords(_ words: String...) -> Bool {
    guard tokens[index...].prefix(words.count).map(\.kind) == words.map(SelectorToken.Kind.word) else { return false }
    index += words.count
    return true
  }

  private func unexpected(_ expected: String) -> SelectorSyntaxError {
    SelectorSyntaxError(column: token.column, message: "expected \(expected), \(token.found)")
  }
}
