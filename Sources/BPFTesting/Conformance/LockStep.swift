import Glibc

/// Runs the same random operations on a model and on a subject and compares every result.
///
/// ```swift
/// let steps = LockStep(seed: RandomSeed.current) { MapAction.random(keys: 64, values: 1_000, using: &$0) } compare: {
///   try MapPair(MemoryMap(capacity: 48), HashMap(name: "subject", capacity: 48), keys: keys, values: values).compare($0)
/// }
/// try steps.run(operations: 100_000)
/// ```
///
/// A difference is reported with the seed and with a sequence from which nothing more can be left out without the
/// difference going away: usually a handful of operations.
public struct LockStep<Action: Sendable>: Sendable {
  /// Where the subject first did otherwise than the model.
  public struct Difference: Sendable, Equatable {
    /// The position of the operation in the sequence.
    public var index: Int
    /// Both results, in words.
    public var description: String

    /// A difference at `index`.
    public init(index: Int, description: String) {
      self.index = index
      self.description = description
    }
  }

  /// What ``run(operations:)`` throws.
  public struct Failure: Error, CustomStringConvertible {
    /// Repeats the run: set `MARTLET_SEED` to it.
    public let seed: UInt64
    /// The operations that show the difference, from fresh storages on.
    public let actions: [Action]
    /// What differs after the last of them.
    public let difference: String

    /// The seed, the shortest sequence found, and the difference.
    public var description: String {
      let listing = actions.enumerated().map { "\n  \($0.offset): \($0.element)" }.joined()
      return "MARTLET_SEED=\(seed): \(difference) after\(listing)"
    }
  }

  // Storages start afresh now and then: a shorter sequence is shrunk sooner, and young tables differ from old ones.
  private static var round: Int { 4_000 }

  private let seed: UInt64
  private let generate: @Sendable (inout SplitMix64) -> Action
  private let simplify: @Sendable (Action) -> [Action]
  private let compare: @Sendable ([Action]) throws -> Difference?

  /// - Parameters:
  ///   - seed: what the operations follow from.
  ///   - generate: a random operation.
  ///   - simplify: smaller forms of an operation, to be tried while a failure is shrunk.
  ///   - compare: runs operations on a fresh model and a fresh subject; returns the first difference.
  public init(
    seed: UInt64, generate: @escaping @Sendable (inout SplitMix64) -> Action,
    simplify: @escaping @Sendable (Action) -> [Action] = { _ in [] },
    compare: @escaping @Sendable ([Action]) throws -> Difference?
  ) {
    self.seed = seed
    self.generate = generate
    self.simplify = simplify
    self.compare = compare
  }

  /// Compares `operations` random operations; throws a ``Failure`` at the first difference.
  public func run(operations: Int) throws {
    var generator = SplitMix64(seed: seed)
    for start in stride(from: 0, to: operations, by: Self.round) {
      let actions = (start..<min(start + Self.round, operations)).map { _ in generate(&generator) }
      guard let difference = try compare(actions) else { continue }
      throw try shrunk(actions, difference)
    }
  }

  /// Leaves out ever smaller runs of operations as long as a difference remains.
  private func shrunk(_ actions: [Action], _ first: Difference) throws -> Failure {
    var (shortest, difference) = (Array(actions[...first.index]), first)
    var length = shortest.count / 2
    while length > 0 {
      var start = 0
      while start + length <= shortest.count {
        var candidate = shortest
        candidate.removeSubrange(start..<(start + length))
        if let remaining = try compare(candidate) {
          (shortest, difference) = (Array(candidate[...remaining.index]), remaining)
        } else {
          start += length
        }
      }
      length /= 2
    }
    return try simplified(Failure(seed: seed, actions: shortest, difference: difference.description))
  }

  /// Replaces operations by smaller forms as long as a difference remains.
  private func simplified(_ failure: Failure) throws -> Failure {
    var actions = failure.actions
    var difference = failure.difference
    var index = 0
    while index < actions.count {
      var hasChanged = false
      for smaller in simplify(actions[index]) {
        var candidate = actions
        candidate[index] = smaller
        guard let remaining = try compare(candidate) else { continue }
        (actions, difference) = (Array(candidate[...remaining.index]), remaining.description)
        hasChanged = true
        break
      }
      if !hasChanged { index += 1 }
    }
    return Failure(seed: seed, actions: actions, difference: difference)
  }
}

/// The seed of random tests: `MARTLET_SEED`, or the same for every run.
public enum RandomSeed {
  /// The seed.
  public static var current: UInt64 {
    // SAFETY: the environment is not changed while tests run.
    getenv("MARTLET_SEED").flatMap { UInt64(String(cString: $0)) } ?? 0x6d61_7274_6c65_74
  }
}
