import BPF

/// What can be promised of a table that drops entries as it likes: an exact model would not match the kernel, whose
/// least-recently-used order is approximate.
///
/// - What it holds is what was stored under that key last.
/// - It never refuses for lack of room, and never exceeds its capacity.
/// - The entry just stored is there.
/// - It gives no room away for long: a table into which many more keys were stored than fit holds at least so many, give or take what was removed since.
public struct EvictionContract<Storage: MapStorage<UInt32, UInt64> & ~Copyable>: ~Copyable {
  private let storage: Storage
  private let capacity: Int
  private let leastCount: Int
  // What may be there: stored, not removed, and not known to be dropped.
  private var possible: [UInt32: UInt64] = [:]

  /// Checks an empty `storage`.
  ///
  /// - Parameter leastCount: how many entries it holds after twice as many keys as fit have been stored.
  public init(_ storage: consuming Storage, capacity: Int, leastCount: Int) {
    self.leastCount = leastCount
    self.storage = storage
    self.capacity = capacity
  }

  /// Runs `actions`, whose numbers are keys and values themselves; returns the first breach.
  public mutating func firstBreach(_ actions: [MapAction]) -> LockStep<MapAction>.Difference? {
    for (index, action) in actions.enumerated() {
      do throws(BPFError) {
        guard let breach = try breach(of: action) else { continue }
        return .init(index: index, description: "\(action) \(breach)")
      } catch {
        return .init(index: index, description: "\(action) threw \(error)")
      }
    }
    return nil
  }

  private mutating func breach(of action: MapAction) throws(BPFError) -> String? {
    switch action {
    case .get(let key): return check(UInt32(key), try storage.get(UInt32(key)))
    case .take(let key):
      let breach = check(UInt32(key), try storage.take(UInt32(key)))
      possible[UInt32(key)] = nil
      return breach
    case .remove(let key):
      let wasThere = try storage.remove(UInt32(key))
      return possible.removeValue(forKey: UInt32(key)) == nil && wasThere ? "removed what was not there" : nil
    case .update(let key, let value, let mode): return try update(UInt32(key), UInt64(value), mode)
    case .updateBatch(let keys, let values, _):
      try storage.update(keys: keys.map { UInt32($0) }, values: values.map { UInt64($0) }, mode: .set)
      for (key, value) in zip(keys, values) { possible[UInt32(key)] = UInt64(value) }
      return nil
    case .removeBatch(let keys):
      let removed = try storage.remove(keys: keys.map { UInt32($0) })
      let before = possible.count
      for key in keys { possible[UInt32(key)] = nil }
      return removed > before - possible.count ? "removed \(removed), more than there were" : nil
    case .contents: return try contents()
    }
  }

  /// Compares what was found under `key`; what is gone has been dropped.
  private mutating func check(_ key: UInt32, _ value: UInt64?) -> String? {
    guard let value else {
      possible[key] = nil
      return nil
    }
    return possible[key] == value ? nil : "found \(value), expected \(possible[key].map { "\($0)" } ?? "nothing")"
  }

  private mutating func update(_ key: UInt32, _ value: UInt64, _ mode: UpdateMode) throws(BPFError) -> String? {
    do throws(BPFError) {
      try storage.update(key, value, mode: mode)
    } catch {
      switch (error.kind, mode) {
      case (.exists, .insert) where possible[key] != nil: return nil
      case (.notFound, .replace):
        possible[key] = nil
        return nil
      default: throw error
      }
    }
    if mode == .replace && possible[key] == nil { return "replaced what was not there" }
    possible[key] = value
    return try storage.get(key) == value ? nil : "is not there after its own update"
  }

  private mutating func contents() throws(BPFError) -> String? {
    var found: [UInt32: UInt64] = [:]
    try storage.forEach { (key, value) throws(BPFError) in found[key] = value }
    if let wrong = found.first(where: { possible[$0.key] != $0.value }) { return "found \(wrong)" }
    if found.count > capacity { return "found \(found.count) entries, more than \(capacity)" }
    if possible.count > 2 * capacity && found.count < leastCount { return "kept only \(found.count) entries" }
    possible = found
    return nil
  }
}
