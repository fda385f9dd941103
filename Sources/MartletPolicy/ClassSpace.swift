import TableSupport

/// The number of a condition in its ``ClassSpace``.
typealias ConditionNumber = Int
/// The number of a class: what a map holds for an address, a port, or both.
typealias ClassNumber = UInt32

/// What a rule asks of one dimension of a packet. All terms have to hold.
struct Condition: Hashable {
  /// One of the patterns matches; or, if negated, none does.
  struct Term: Hashable {
    var patterns: [Pattern]
    var isNegated = false
  }

  var terms: [Term]

  /// Holds for nothing that has no attributes.
  static func any(_ patterns: [Pattern]) -> Condition { Condition(terms: [Term(patterns: patterns)]) }

  static func none(_ patterns: [Pattern]) -> Condition {
    Condition(terms: [Term(patterns: patterns, isNegated: true)])
  }
}

/// Classes of what has the same attributes, and the conditions that rules make.
///
/// Class 0 has no attributes. What a condition says to it, the condition says *by default*; classes to which it says
/// otherwise are its *exceptions*. There are few of them: most rules are about few peers, and most peers are named by
/// few rules. Everything that a change touches follows from exceptions.
///
/// A class that nothing is of any more stays for a grace period: a program may have read its number just before.
final class ClassSpace {
  private struct Class {
    /// Attributes by number, sorted: no two classes have the same.
    var content: [Int]
    var users = 0
    /// How often the last user has gone.
    var ends = 0
    var exceptionTo: Set<ConditionNumber> = []
  }

  private struct ConditionState {
    var terms: [(patterns: [Int], isNegated: Bool)]
    var holdsByDefault: Bool
    var exceptions: Set<ClassNumber> = []
  }

  private(set) var index = AttributeIndex()
  private var contents = Interner<[Int]>()
  private var classes: [Class] = []
  private var conditions = Interner<Condition>()
  private var states: [ConditionState] = []
  /// By number of the attribute.
  private var classesWith: [Set<ClassNumber>] = []
  /// By number of the pattern.
  private var conditionsWith: [Set<ConditionNumber>] = []
  private var unused = GraceQueue<(number: ClassNumber, end: Int)>()

  init() {
    _ = retainClass([])
  }

  /// One more than the highest number of a class.
  var classBound: Int { classes.count }

  /// Classes, conditions, attributes and patterns besides class 0.
  var count: Int { contents.count - 1 + conditions.count + index.count }

  /// Whether ``reclaim(now:after:)`` will have something to do.
  var hasUnused: Bool { !unused.isEmpty }

  // MARK: - Attributes

  /// The number of `attribute`, with one reference more. `revived`: patterns that nothing matched before.
  func retain(_ attribute: Attribute) -> (number: Int, revived: [Int]) {
    let result = index.retain(attribute)
    if result.number == classesWith.count { classesWith.append([]) }
    return result
  }

  /// Takes back a reference.
  func release(attribute number: Int) { index.release(attribute: number) }

  // MARK: - Patterns

  /// The number of `pattern`, with one reference more. `isNew`: what is exactly it may be of interest from now on.
  func retain(_ pattern: Pattern) -> (number: Int, isNew: Bool) {
    let result = index.retain(pattern)
    if result.number == conditionsWith.count { conditionsWith.append([]) }
    return result
  }

  /// Takes back a reference. Returns the pattern if it was the last.
  func release(pattern number: Int) -> Pattern? { index.release(pattern: number) }

  // MARK: - Classes

  /// The class of what has `attributes`, with one user more. `isNew`: no table knows it yet.
  func retainClass(_ attributes: some Sequence<Int>) -> (number: ClassNumber, isNew: Bool) {
    let content = Set(attributes).sorted()
    if let known = contents.number(of: content) {
      classes[known].users += 1
      return (ClassNumber(known), false)
    }
    let number = contents.retain(content).number
    if number == classes.count { classes.append(Class(content: [])) }
    classes[number] = Class(content: content, users: 1, ends: classes[number].ends)
    for attribute in content {
      index.retain(attribute: attribute)
      classesWith[attribute].insert(ClassNumber(number))
    }
    findExceptions(of: number)
    return (ClassNumber(number), true)
  }

  /// Takes back a user.
  func release(class number: ClassNumber) {
    classes[Int(number)].users -= 1
    guard classes[Int(number)].users == 0 else { return }
    classes[Int(number)].ends += 1
    unused.append((number, classes[Int(number)].ends))
  }

  /// Forgets classes that nothing was of for `grace`, and returns them: nobody can look at them any more.
  func reclaim(now: ContinuousClock.Instant, after grace: Duration) -> [ClassNumber] {
    let expired = unused.expire(now: now, after: grace).filter { number, end in
      classes[Int(number)].users == 0 && classes[Int(number)].ends == end
    }
    for (number, _) in expired { forget(Int(number)) }
    return expired.map(\.number)
  }

  private func forget(_ number: Int) {
    for condition in classes[number].exceptionTo { states[condition].exceptions.remove(ClassNumber(number)) }
    for attribute in classes[number].content {
      classesWith[attribute].remove(ClassNumber(number))
      index.release(attribute: attribute)
    }
    classes[number] = Class(content: [], ends: classes[number].ends)
    _ = contents.release(number)
    contents.recycle(number)
  }

  /// The conditions that say something else to a class than they say by default.
  func exceptions(of number: ClassNumber) -> Set<ConditionNumber> { classes[Int(number)].exceptionTo }

  private func findExceptions(of number: Int) {
    var candidates: Set<ConditionNumber> = []
    for attribute in classes[number].content {
      for pattern in index.patterns(matchedBy: attribute) { candidates.formUnion(conditionsWith[pattern]) }
    }
    for condition in candidates where holds(condition, classes[number].content) != states[condition].holdsByDefault {
      states[condition].exceptions.insert(ClassNumber(number))
      classes[number].exceptionTo.insert(condition)
    }
  }

  // MARK: - Conditions

  /// The number of `condition`, with one reference more. Patterns that are new are added to `newPatterns`: what is
  /// exactly one of them may be of interest from now on.
  func retain(_ condition: Condition, newPatterns: inout [Pattern]) -> ConditionNumber {
    let (number, isNew) = conditions.retain(condition)
    guard isNew else { return number }
    let terms = condition.terms.map { term in
      (patterns: term.patterns.map { retain($0, &newPatterns) }, isNegated: term.isNegated)
    }
    let state = ConditionState(terms: terms, holdsByDefault: terms.allSatisfy(\.isNegated))
    if number == states.count { states.append(state) } else { states[number] = state }
    var candidates: Set<ClassNumber> = []
    for pattern in terms.flatMap(\.patterns) {
      conditionsWith[pattern].insert(number)
      for attribute in index.attributes(matching: pattern) { candidates.formUnion(classesWith[attribute]) }
    }
    for candidate in candidates where holds(number, classes[Int(candidate)].content) != state.holdsByDefault {
      states[number].exceptions.insert(candidate)
      classes[Int(candidate)].exceptionTo.insert(number)
    }
    return number
  }

  private func retain(_ pattern: Pattern, _ newPatterns: inout [Pattern]) -> Int {
    let (number, isNew) = retain(pattern)
    if isNew { newPatterns.append(pattern) }
    return number
  }

  func retain(condition number: ConditionNumber) { conditions.retain(number: number) }

  /// Takes back a reference. Returns patterns that nobody is interested in any more.
  func release(condition number: ConditionNumber) -> [Pattern] {
    guard conditions.release(number) else { return [] }
    for exception in states[number].exceptions { classes[Int(exception)].exceptionTo.remove(number) }
    states[number].exceptions = []
    let patterns = states[number].terms.flatMap(\.patterns)
    for pattern in patterns { conditionsWith[pattern].remove(number) }
    conditions.recycle(number)
    return patterns.compactMap { index.release(pattern: $0) }
  }

  /// What a condition says to class 0.
  func holdsByDefault(_ condition: ConditionNumber) -> Bool { states[condition].holdsByDefault }

  /// The classes to which a condition says otherwise than by default.
  func exceptions(to condition: ConditionNumber) -> Set<ClassNumber> { states[condition].exceptions }

  private func holds(_ condition: ConditionNumber, _ content: [Int]) -> Bool {
    states[condition].terms.allSatisfy { term in
      let matches = content.contains { attribute in
        let patterns = index.patterns(matchedBy: attribute)
        return patterns.count < term.patterns.count
          ? patterns.contains(where: term.patterns.contains) : term.patterns.contains(where: patterns.contains)
      }
      return matches != term.isNegated
    }
  }
}
