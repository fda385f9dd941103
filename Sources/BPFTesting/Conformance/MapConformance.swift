import BPF

/// Checks that a storage does what ``MapStorage`` promises.
///
/// The library's own storages pass it, the kernel's maps and ``MemoryMap`` alike; run yours through it:
///
/// ```swift
/// @Test(arguments: MapRule.rules(for: .hash))
/// func storage(rule: MapRule) throws {
///   try MapConformance(.hash) { MyStorage(capacity: $0) } key: { UInt32($0) } value: { UInt64($0) }.verify(rule)
/// }
/// ```
///
/// Longest-prefix match has rules of its own (``PrefixRule``), and sequences of operations are compared by
/// ``LockStep``.
public struct MapConformance<Storage: MapStorage & ~Copyable> {
  /// What kind of table it is.
  public let behaviour: MapBehaviour
  let make: (Int) throws -> Storage
  let key: (Int) -> Storage.Key
  let value: (Int) -> Storage.Value

  /// - Parameters:
  ///   - make: an empty storage with room for so many entries (for arrays: with so many entries).
  ///   - key: a key for each number from 0 on, all different; for tries, prefixes of full length; for arrays, the number.
  ///   - value: a value for each number, all different.
  public init(
    _ behaviour: MapBehaviour, make: @escaping (Int) throws -> Storage, key: @escaping (Int) -> Storage.Key,
    value: @escaping (Int) -> Storage.Value
  ) {
    self.behaviour = behaviour
    self.make = make
    self.key = key
    self.value = value
  }

  /// Checks every rule for this kind of table; throws the first failure.
  public func verify() throws {
    for rule in MapRule.rules(for: behaviour) { try verify(rule) }
  }

  /// Checks one rule on a fresh storage.
  public func verify(_ rule: MapRule) throws {
    let verdict = Verdict(rule: rule.rawValue)
    switch rule {
    case .missingKeyIsNil: try missingKeyIsNil(make(4), verdict)
    case .setStoresAndReplaces: try setStoresAndReplaces(make(4), verdict)
    case .insertRefusesPresentKey: try insertRefusesPresentKey(make(4), verdict)
    case .replaceRefusesAbsentKey: try replaceRefusesAbsentKey(make(4), verdict)
    case .removeTellsWhetherItWasThere: try removeTellsWhetherItWasThere(make(4), verdict)
    case .takeReturnsWhatItRemoves: try takeReturnsWhatItRemoves(make(4), verdict)
    case .fullRefusesNewKeys: try fullRefusesNewKeys(make(16), verdict)
    case .fullStillReplaces: try fullStillReplaces(make(16), verdict)
    case .removalMakesRoom: try removalMakesRoom(make(16), verdict)
    case .newestSurvivesEviction: try newestSurvivesEviction(make(1_024), verdict)
    case .batchStoresAll: try batchStoresAll(make(1_000), verdict)
    case .batchObeysMode: try batchObeysMode(make(8), verdict)
    case .batchStopsWhereItFails: try batchStopsWhereItFails(make(8), verdict)
    case .batchRemovalSkipsAbsentKeys: try batchRemovalSkipsAbsentKeys(make(16), verdict)
    case .emptyBatchDoesNothing: try emptyBatchDoesNothing(make(4), verdict)
    case .iterationSeesEachPairOnce: try iterationSeesEachPairOnce(make(10_000), verdict)
    case .iterationSurvivesRemoval: try iterationSurvivesRemoval(make(10_000), verdict)
    case .iterationPassesErrorOn: try iterationPassesErrorOn(make(8), verdict)
    case .arrayStartsWithZeros: try arrayStartsWithZeros(make(4), verdict)
    case .arrayHasFixedIndexes: try arrayHasFixedIndexes(make(4), verdict)
    }
  }
}

/// The kinds of table that differ in what they promise.
public enum MapBehaviour: Sendable, CaseIterable {
  /// Exact match; refuses what does not fit.
  case hash
  /// Exact match; makes room. Not bound to drop exactly the oldest.
  case lruHash
  /// Longest-prefix match; refuses what does not fit.
  case lpmTrie
  /// A fixed number of entries, all there from the start.
  case array
}

/// What a map storage has to do, a rule a case.
public enum MapRule: String, Sendable, CaseIterable, CustomStringConvertible {
  // The raw values are the sentences that failures begin with.
  /// A missing key is `nil` or `false`, not an error.
  case missingKeyIsNil = "a missing key is nil or false"
  /// `set` inserts, and replaces.
  case setStoresAndReplaces = "set inserts and replaces"
  /// `insert` throws `exists` and changes nothing.
  case insertRefusesPresentKey = "insert refuses a key that is there"
  /// `replace` throws `notFound` and stores nothing.
  case replaceRefusesAbsentKey = "replace refuses a key that is not there"
  /// `remove` returns whether the key was there.
  case removeTellsWhetherItWasThere = "remove tells whether the key was there"
  /// `take` returns the value and removes the key.
  case takeReturnsWhatItRemoves = "take returns what it removes"
  /// A new key beyond the capacity throws `full`.
  case fullRefusesNewKeys = "a full table refuses new keys"
  /// A key that is there can be replaced in a full table.
  case fullStillReplaces = "a full table still replaces"
  /// After a removal a new key fits.
  case removalMakesRoom = "a removal makes room"
  /// A table that drops entries keeps within its capacity and keeps the entry stored last.
  case newestSurvivesEviction = "a table that makes room keeps the newest entry"
  /// A batch stores every pair.
  case batchStoresAll = "a batch stores all pairs"
  /// A batch refuses as single calls do.
  case batchObeysMode = "a batch obeys its mode"
  /// What comes before the failing pair is stored, the rest is not, and the error tells how many.
  case batchStopsWhereItFails = "a batch stops where it fails"
  /// A batch removal goes on behind keys that are not there, and counts those that were.
  case batchRemovalSkipsAbsentKeys = "a batch removal skips absent keys"
  /// Batches of nothing do nothing.
  case emptyBatchDoesNothing = "an empty batch does nothing"
  /// Iteration hands over each pair exactly once.
  case iterationSeesEachPairOnce = "iteration sees each pair once"
  /// Iteration hands over each pair that stays exactly once, though its body removes others.
  case iterationSurvivesRemoval = "iteration survives removals by its body"
  /// An error of the body ends the iteration and arrives at the caller.
  case iterationPassesErrorOn = "iteration passes its body's error on"
  /// Every index holds zeros to begin with.
  case arrayStartsWithZeros = "an array starts with zeros"
  /// No index can be inserted, removed, or lie beyond the end.
  case arrayHasFixedIndexes = "an array's indexes are fixed"

  /// The sentence.
  public var description: String { rawValue }

  /// The rules for a kind of table.
  public static func rules(for behaviour: MapBehaviour) -> [MapRule] {
    let refusing: Set<MapRule> = [.fullRefusesNewKeys, .fullStillReplaces, .removalMakesRoom, .batchStopsWhereItFails]
    let ofArrays: Set<MapRule> = [.arrayStartsWithZeros, .arrayHasFixedIndexes]
    switch behaviour {
    case .hash, .lpmTrie: return allCases.filter { !ofArrays.contains($0) && $0 != .newestSurvivesEviction }
    case .lruHash: return allCases.filter { !ofArrays.contains($0) && !refusing.contains($0) }
    case .array: return [.batchStoresAll, .emptyBatchDoesNothing, .iterationPassesErrorOn] + ofArrays
    }
  }
}
