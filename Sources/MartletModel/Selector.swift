/// A condition on labels.
public indirect enum Selector: Hashable, Sendable {
  /// Always true.
  case all
  /// The label is there.
  case has(String)
  /// The label is there and has this value.
  case equals(String, String)
  /// The label is there and has one of these values. Use ``member(_:_:)``, which puts them in order.
  case isIn(String, [String])
  /// The label is there and its value contains the text.
  case contains(String, String)
  /// The label is there and its value begins with the text.
  case startsWith(String, String)
  /// The label is there and its value ends with the text.
  case endsWith(String, String)
  /// The condition is false.
  case not(Selector)
  /// All of them are true.
  case and([Selector])
  /// One of them is true.
  case or([Selector])

  /// The label is there and has one of `values`: the same selector in whatever order, and however often, they are given.
  public static func member(_ key: String, _ values: some Sequence<String>) -> Selector {
    .isIn(key, Set(values).sorted())
  }

  /// Never true.
  public static let none = Selector.not(.all)

  /// Whether `labels` fulfil it.
  public func matches(_ labels: [String: String]) -> Bool {
    switch self {
    case .all: true
    case .has(let key): labels[key] != nil
    case .equals(let key, let value): labels[key] == value
    case .isIn(let key, let values): labels[key].map(values.contains) ?? false
    case .contains(let key, let text): labels[key].map { text.isEmpty || $0.contains(text) } ?? false
    case .startsWith(let key, let text): labels[key]?.hasPrefix(text) ?? false
    case .endsWith(let key, let text): labels[key]?.hasSuffix(text) ?? false
    case .not(let selector): !selector.matches(labels)
    case .and(let selectors): selectors.allSatisfy { $0.matches(labels) }
    case .or(let selectors): selectors.contains { $0.matches(labels) }
    }
  }
}
