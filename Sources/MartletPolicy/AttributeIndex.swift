/// Which attributes match which patterns, kept as both come and go.
///
/// A new attribute is not tried against every pattern, nor a new pattern against every attribute: most selectors can
/// match only what has a certain label, by which both are found.
struct AttributeIndex {
  private var attributes = Interner<Attribute>()
  private var patterns = Interner<Pattern>()
  /// By number of the attribute: the patterns that it matches.
  private var patternsOf: [Set<Int>] = []
  /// By number of the pattern: the attributes that match it.
  private var attributesOf: [Set<Int>] = []
  private var attributeLabels = LabelIndex()
  private var patternLabels = LabelIndex()

  /// The patterns that an attribute matches.
  func patterns(matchedBy attribute: Int) -> Set<Int> { patternsOf[attribute] }

  /// The attributes that match a pattern.
  func attributes(matching pattern: Int) -> Set<Int> { attributesOf[pattern] }

  func number(of attribute: Attribute) -> Int? { attributes.number(of: attribute) }

  func number(of pattern: Pattern) -> Int? { patterns.number(of: pattern) }

  subscript(attribute number: Int) -> Attribute { attributes[number] }

  // MARK: - Attributes

  /// The number of `attribute`, with one reference more. `revived`: patterns that nothing matched before.
  mutating func retain(_ attribute: Attribute) -> (number: Int, revived: [Int]) {
    let (number, isNew) = attributes.retain(attribute)
    guard isNew else { return (number, []) }
    if number == patternsOf.count { patternsOf.append([]) }
    patternsOf[number] = matchingPatterns(attribute)
    if case .labels(let kind, let labels) = attribute { attributeLabels.insert(number, kind, labels) }
    var revived: [Int] = []
    for pattern in patternsOf[number] {
      if attributesOf[pattern].isEmpty { revived.append(pattern) }
      attributesOf[pattern].insert(number)
    }
    return (number, revived)
  }

  mutating func retain(attribute number: Int) { attributes.retain(number: number) }

  /// Takes back a reference.
  mutating func release(attribute number: Int) {
    guard attributes.release(number) else { return }
    if case .labels(let kind, let labels) = attributes[number] { attributeLabels.remove(number, kind, labels) }
    for pattern in patternsOf[number] { attributesOf[pattern].remove(number) }
    patternsOf[number] = []
    attributes.recycle(number)
  }

  private func matchingPatterns(_ attribute: Attribute) -> Set<Int> {
    guard case .labels(let kind, let labels) = attribute else {
      return patterns.number(of: .exact(attribute)).map { [$0] } ?? []
    }
    return patternLabels.candidates(kind, labels).filter { patterns[$0].matches(attribute) }
  }

  // MARK: - Patterns

  /// The number of `pattern`, with one reference more.
  mutating func retain(_ pattern: Pattern) -> (number: Int, isNew: Bool) {
    let (number, isNew) = patterns.retain(pattern)
    guard isNew else { return (number, false) }
    if number == attributesOf.count { attributesOf.append([]) }
    switch pattern {
    case .exact(let attribute):
      attributesOf[number] = attributes.number(of: attribute).map { [$0] } ?? []
    case .selector(let kind, let selector):
      let necessary = selector.necessaryLabels
      patternLabels.insert(number, kind, necessary)
      attributesOf[number] = attributeLabels.candidates(kind, necessary).filter { pattern.matches(attributes[$0]) }
    }
    for attribute in attributesOf[number] { patternsOf[attribute].insert(number) }
    return (number, true)
  }

  /// Takes back a reference. Returns the pattern if it was the last.
  mutating func release(pattern number: Int) -> Pattern? {
    guard patterns.release(number) else { return nil }
    let pattern = patterns[number]
    if case .selector(let kind, let selector) = pattern {
      patternLabels.remove(number, kind, selector.necessaryLabels)
    }
    for attribute in attributesOf[number] { patternsOf[attribute].remove(number) }
    attributesOf[number] = []
    patterns.recycle(number)
    return pattern
  }

  /// Attributes and patterns that somebody refers to.
  var count: Int { attributes.count + patterns.count }
}

/// Numbers by the labels that they are about.
private struct LabelIndex {
  private struct Label: Hashable {
    let kind: Attribute.Labelled
    let key: String
    let value: String
  }

  private var byLabel: [Label: Set<Int>] = [:]
  /// Those about no label in particular, or all of a kind.
  private var others: [Attribute.Labelled: Set<Int>] = [:]

  // Things with labels: entered under each, and among the others as well.

  mutating func insert(_ number: Int, _ kind: Attribute.Labelled, _ labels: [String: String]) {
    for (key, value) in labels { byLabel[Label(kind: kind, key: key, value: value), default: []].insert(number) }
    others[kind, default: []].insert(number)
  }

  mutating func remove(_ number: Int, _ kind: Attribute.Labelled, _ labels: [String: String]) {
    for (key, value) in labels { remove(number, Label(kind: kind, key: key, value: value)) }
    others[kind]?.remove(number)
  }

  /// Things of which a selector with these necessary labels may match some.
  func candidates(_ kind: Attribute.Labelled, _ necessary: [(key: String, value: String)]?) -> Set<Int> {
    guard let necessary else { return others[kind] ?? [] }
    return necessary.reduce(into: []) { result, label in
      result.formUnion(byLabel[Label(kind: kind, key: label.key, value: label.value)] ?? [])
    }
  }

  // Selectors: entered under each necessary label, or among the others if they have none.

  mutating func insert(_ number: Int, _ kind: Attribute.Labelled, _ necessary: [(key: String, value: String)]?) {
    guard let necessary else {
      others[kind, default: []].insert(number)
      return
    }
    for (key, value) in necessary { byLabel[Label(kind: kind, key: key, value: value), default: []].insert(number) }
  }

  mutating func remove(_ number: Int, _ kind: Attribute.Labelled, _ necessary: [(key: String, value: String)]?) {
    others[kind]?.remove(number)
    for (key, value) in necessary ?? [] { remove(number, Label(kind: kind, key: key, value: value)) }
  }

  /// Selectors that may match these labels.
  func candidates(_ kind: Attribute.Labelled, _ labels: [String: String]) -> Set<Int> {
    labels.reduce(into: others[kind] ?? []) { result, label in
      guard let numbers = byLabel[Label(kind: kind, key: label.key, value: label.value)] else { return }
      result.formUnion(numbers)
    }
  }

  private mutating func remove(_ number: Int, _ label: Label) {
    byLabel[label]?.remove(number)
    if byLabel[label]?.isEmpty == true { byLabel[label] = nil }
  }
}
