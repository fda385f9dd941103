import BPF
import CBPF

/// A map that is written as if there were one version of it.
///
/// An entry that is in one version alone holds ``VersionPair/absent`` in the other. In a map of prefixes it has to hold
/// what the prefix around it does: `around` is its key.
public final class VersionedMap<Key: BitwiseCopyable, Pair: VersionPair & BitwiseCopyable>: MapStorage, VersionedTable {
  private let base: any MapStorage<Key, Pair>
  private let versions: PolicyVersions
  private let around: ((Key) -> Key?)?
  private var entries: [KeyBytes: Entry] = [:]
  private var different: Set<KeyBytes> = []

  private struct Entry {
    let key: Key
    var pair: Pair
    /// Whether it will be there.
    var isWanted: Bool
  }

  /// `base`, which is empty, by `versions`.
  public init(_ base: any MapStorage<Key, Pair>, _ versions: PolicyVersions, around: ((Key) -> Key?)? = nil) {
    self.base = base
    self.versions = versions
    self.around = around
    versions.add(self)
  }

  /// The entry as it will be.
  public func get(_ key: Key) throws(BPFError) -> Pair.Value? {
    guard let entry = entries[KeyBytes(key)], entry.isWanted else { return nil }
    return entry.pair[versions.written]
  }

  /// Enters `value` in the version that does not count yet.
  public func update(_ key: Key, _ value: Pair.Value, mode: UpdateMode) throws(BPFError) {
    try versions.open()
    let bytes = KeyBytes(key)
    if mode == .insert, entries[bytes]?.isWanted == true { return try base.update(key, Pair(both: value), mode: mode) }
    var pair = Pair(both: value)
    if !versions.isAlone {
      if let entry = entries[bytes] {
        pair = entry.pair
      } else {
        pair = Pair(both: try surrounding(key, versions.current))
      }
      pair[versions.next] = value
    }
    try base.set(key, pair)
    entries[bytes] = Entry(key: key, pair: pair, isWanted: true)
    if !versions.isAlone { different.insert(bytes) }
  }

  /// Removes it from the version that does not count yet; from the map later.
  public func remove(_ key: Key) throws(BPFError) -> Bool {
    try versions.open()
    let bytes = KeyBytes(key)
    guard var entry = entries[bytes], entry.isWanted else { return false }
    if versions.isAlone {
      entries[bytes] = nil
      return try base.remove(key)
    }
    entry.pair[versions.next] = Pair.absent
    entry.isWanted = false
    // What is around it may change yet: prepare() sees to that.
    if around == nil { try base.set(key, entry.pair) }
    entries[bytes] = entry
    different.insert(bytes)
    return true
  }

  /// Likewise; returns what it held.
  public func take(_ key: Key) throws(BPFError) -> Pair.Value? {
    let value = try get(key)
    return try remove(key) ? value : nil
  }

  /// One by one.
  public func update(keys: [Key], values: [Pair.Value], mode: UpdateMode) throws(BPFError) {
    for (key, value) in zip(keys, values) { try update(key, value, mode: mode) }
  }

  /// One by one; returns how many there were.
  public func remove(keys: [Key]) throws(BPFError) -> Int {
    var count = 0
    for key in keys where try remove(key) { count += 1 }
    return count
  }

  /// Every entry as it will be.
  public func forEach(_ body: (Key, Pair.Value) throws(BPFError) -> Void) throws(BPFError) {
    for entry in entries.values where entry.isWanted {
      try body(entry.key, entry.pair[versions.written])
    }
  }

  /// What the base says of a key of which it has no entry.
  private func surrounding(_ key: Key, _ version: Int) throws(BPFError) -> Pair.Value {
    guard let outer = around?(key), let pair = try base.get(outer) else { return Pair.absent }
    return pair[version]
  }

  /// Outer prefixes first: each takes over from the one around it.
  func prepare() throws(BPFError) {
    guard around != nil else { return }
    let leaving = different.compactMap { entries[$0] }.filter { !$0.isWanted }
    for var entry in leaving.sorted(by: { KeyBytes($0.key).first < KeyBytes($1.key).first }) {
      entry.pair[versions.next] = try surrounding(entry.key, versions.next)
      try base.set(entry.key, entry.pair)
      entries[KeyBytes(entry.key)] = entry
    }
  }

  func settle() throws(BPFError) {
    for bytes in different {
      guard var entry = entries[bytes] else { continue }
      if entry.isWanted {
        entry.pair = Pair(both: entry.pair[versions.current])
        try base.set(entry.key, entry.pair)
        entries[bytes] = entry
      } else {
        _ = try base.remove(entry.key)
        entries[bytes] = nil
      }
      different.remove(bytes)
    }
  }
}

/// The bytes of a key of at most 24.
private struct KeyBytes: Hashable {
  private var words: (UInt64, UInt64, UInt64) = (0, 0, 0)

  init<Key: BitwiseCopyable>(_ key: Key) {
    precondition(MemoryLayout<Key>.size <= MemoryLayout.size(ofValue: words))
    // SAFETY: both are plain bytes, and the precondition says that they fit.
    unsafe withUnsafeBytes(of: key) { bytes in
      unsafe withUnsafeMutableBytes(of: &words) { unsafe $0.copyMemory(from: bytes) }
    }
  }

  /// Of a prefix: its length.
  var first: UInt32 { UInt32(truncatingIfNeeded: words.0) }

  static func == (left: KeyBytes, right: KeyBytes) -> Bool { left.words == right.words }

  func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
    hasher.combine(words.2)
  }
}

extension ip_prefix {
  /// The key by which a map of prefixes finds the one around it; `nil` where there can be none.
  public var around: ip_prefix? {
    guard length > 0 else { return nil }
    var outer = self
    outer.length -= 1
    return outer
  }
}
