extension Selector {
  /// The selector written as `text` in Calico's language.
  ///
  /// | Form | True when |
  /// |---|---|
  /// | nothing, `all()` | always |
  /// | `k == 'v'`, `k != 'v'` | equal; absent or different |
  /// | `k in {'a', 'b'}`, `k not in {'a'}` or `k notin {'a'}` | there and among them; absent or not among them |
  /// | `has(k)` | there |
  /// | `k contains 's'`, `k starts with 's'`, `k ends with 's'`, also in one word | there, and the text is so |
  /// | `!x`, `x && y`, `x \|\| y`, `( … )` | `!` binds to the next test or parenthesis, `&&` before `\|\|` |
  ///
  /// Quotes are single or double, without any way to write the one inside itself. Keys are of letters, digits and
  /// `_./-`, 512 at most. `global()` is no selector but what the `namespaceSelector` of a rule's side may be, and is
  /// refused here.
  ///
  /// The selector is in its ``canonical`` form, so that spellings that mean the same in the same order are equal.
  ///
  /// - Throws: ``SelectorSyntaxError``, which names the column and what was expected there.
  public init(parsing text: String) throws(SelectorSyntaxError) {
    var parser = try SelectorParser(text)
    self = try parser.parse().canonical
  }

  /// The same condition without what makes no difference: conjunctions within conjunctions, double negations, the order
  /// of sets.
  public var canonical: Selector {
    switch self {
    case .all, .has, .equals, .contains, .startsWith, .endsWith: return self
    case .isIn(let key, let values): return .member(key, values)
    case .not(let selector):
      if case .not(let inner) = selector.canonical { return inner }
      return .not(selector.canonical)
    case .and(let selectors):
      let parts = selectors.map(\.canonical).flatMap { if case .and(let inner) = $0 { inner } else { [$0] } }
      return parts.isEmpty ? .all : parts.count == 1 ? parts[0] : .and(parts)
    case .or(let selectors):
      let parts = selectors.map(\.canonical).flatMap { if case .or(let inner) = $0 { inner } else { [$0] } }
      return parts.isEmpty ? .none : parts.count == 1 ? parts[0] : .or(parts)
    }
  }

  /// The same condition on labels whose keys are those that `rename` makes of these.
  public func renamingKeys(_ rename: (String) -> String) -> Selector {
    switch self {
    case .all: .all
    case .has(let key): .has(rename(key))
    case .equals(let key, let value): .equals(rename(key), value)
    case .isIn(let key, let values): .isIn(rename(key), values)
    case .contains(let key, let text): .contains(rename(key), text)
    case .startsWith(let key, let text): .startsWith(rename(key), text)
    case .endsWith(let key, let text): .endsWith(rename(key), text)
    case .not(let selector): .not(selector.renamingKeys(rename))
    case .and(let selectors): .and(selectors.map { $0.renamingKeys(rename) })
    case .or(let selectors): .or(selectors.map { $0.renamingKeys(rename) })
    }
  }
}

extension Selector: CustomStringConvertible {
  /// The ``canonical`` form as text, of which ``init(parsing:)`` makes it again.
  ///
  /// But for values with both kinds of quotes, and keys with characters, that the language has no way to write; no
  /// Kubernetes label has either.
  public var description: String { canonical.text }

  private var text: String {
    switch self {
    case .all: "all()"
    case .has(let key): "has(\(key))"
    case .equals(let key, let value): "\(key) == \(Self.quoted(value))"
    case .isIn(let key, let values): "\(key) in \(Self.set(values))"
    case .contains(let key, let text): "\(key) contains \(Self.quoted(text))"
    case .startsWith(let key, let text): "\(key) starts with \(Self.quoted(text))"
    case .endsWith(let key, let text): "\(key) ends with \(Self.quoted(text))"
    case .not(.equals(let key, let value)): "\(key) != \(Self.quoted(value))"
    case .not(.isIn(let key, let values)): "\(key) not in \(Self.set(values))"
    case .not(let selector): "!\(selector.isCompound ? "(\(selector.text))" : selector.text)"
    case .and(let selectors): selectors.map { $0.isAlternative ? "(\($0.text))" : $0.text }.joined(separator: " && ")
    case .or(let selectors): selectors.map(\.text).joined(separator: " || ")
    }
  }

  private var isAlternative: Bool { if case .or = self { true } else { false } }

  private var isCompound: Bool { if case .and = self { true } else { isAlternative } }

  private static func set(_ values: [String]) -> String { "{\(values.map(quoted).joined(separator: ", "))}" }

  private static func quoted(_ value: String) -> String { value.contains("'") ? "\"\(value)\"" : "'\(value)'" }
}
