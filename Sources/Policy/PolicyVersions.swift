import BPF
import CBPF

/// Which of two versions of the tables counts: map `policy_version`.
///
/// ```swift
/// let versions = PolicyVersions(maps.version)
/// let sets = VersionedArray(maps.sets, versions)          // written as if there were one version
/// sets.write([7], at: 3)                                  // nobody sees it yet
/// try versions.publish()                                  // everything that was written takes effect, by one store
/// ```
///
/// A change of policies may concern many addresses, sets and endpoints. Readers read the version once, and find in all of
/// the tables what was before the change, or what is after it.
///
/// Between changes both versions are the same: what a change has made different is made equal when the next one begins,
/// or by ``settle()``. A reader that still uses the older version then finds, when it is done, that the map's word has
/// changed, and reads again.
public final class PolicyVersions {
  private let store: (any ArrayStorage<UInt32>)?
  /// What the map holds: how often anything was published, and ``flags``.
  private var word: UInt32 = 0
  /// What else takes effect with the version: the map's word above `POLICY_VERSION_COUNT_MASK`.
  public var flags: UInt32 = 0
  /// Whether there are differences that nobody sees yet.
  private var isOpen = false
  private var tables: [any VersionedTable] = []

  /// Versions that `store`, of one entry, switches; `nil`: what is written takes effect at once.
  public init(_ store: (any ArrayStorage<UInt32>)?) { self.store = store }

  /// The version that counts.
  var current: Int { Int(word & 1) }

  /// How often anything was published, for as far as there are bits to count it.
  var publications: UInt32 { word & UInt32(POLICY_VERSION_COUNT_MASK) }

  /// The version that is written to.
  var next: Int { store == nil ? current : 1 - current }

  /// The version that whoever writes looks at.
  var written: Int { isOpen ? next : current }

  /// Whether each entry is written in both versions.
  var isAlone: Bool { store == nil }

  func add(_ table: any VersionedTable) { tables.append(table) }

  /// To be called before anything is written.
  func open() throws(BPFError) {
    guard !isOpen, !isAlone else { return }
    for table in tables { try table.settle() }
    isOpen = true
  }

  /// Has all that was written take effect. If it throws, nothing has: it may be called again.
  public func publish() throws(BPFError) {
    let mask = UInt32(POLICY_VERSION_COUNT_MASK)
    precondition(flags & mask == 0, "bits that are the count's")
    guard isOpen || flags != word & ~mask else { return }
    if isOpen { for table in tables { try table.prepare() } }
    word = (isOpen ? word &+ 1 : word) & mask | flags
    store?.write([word], at: 0)
    isOpen = false
  }

  /// Makes both versions the same, unless a change is under way. To be called some time after ``publish()``.
  public func settle() throws(BPFError) {
    guard !isOpen else { return }
    for table in tables { try table.settle() }
  }
}

/// A table of which there are two versions.
protocol VersionedTable {
  /// Completes the version that is about to count.
  func prepare() throws(BPFError)
  /// Makes the version that does not count the same as the one that does.
  func settle() throws(BPFError)
}

/// What an entry holds of two versions.
public protocol VersionPair {
  /// What it holds of one.
  associatedtype Value: BitwiseCopyable
  /// The same in both.
  init(both value: Value)
  /// By version, 0 or 1.
  subscript(version: Int) -> Value { get set }
  /// What stands for no entry.
  static var absent: Value { get }
}

/// An array that is written as if there were one version of it.
public final class VersionedArray<Pair: VersionPair & BitwiseCopyable>: ArrayStorage, VersionedTable {
  private let base: any ArrayStorage<Pair>
  private let versions: PolicyVersions
  private var different: [Range<Int>] = []

  /// `base`, by `versions`.
  public init(_ base: any ArrayStorage<Pair>, _ versions: PolicyVersions) {
    self.base = base
    self.versions = versions
    versions.add(self)
  }

  /// The number of entries.
  public var count: Int { base.count }

  /// The entry as it will be.
  public func read(_ index: Int) -> Pair.Value {
    base.read(index)[versions.written]
  }

  /// Stores `values` in the version that does not count yet.
  public func write(_ values: [Pair.Value], at offset: Int) {
    guard !versions.isAlone, (try? versions.open()) != nil else {
      return base.write(values.map(Pair.init(both:)), at: offset)
    }
    let pairs = values.enumerated().map { index, value in
      var pair = base.read(offset + index)
      pair[versions.next] = value
      return pair
    }
    base.write(pairs, at: offset)
    different.append(offset..<offset + values.count)
  }

  func prepare() {}

  func settle() {
    for run in different { base.write(run.map { Pair(both: base.read($0)[versions.current]) }, at: run.lowerBound) }
    different = []
  }
}

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

// MARK: - The layouts' pairs

extension policy_class: VersionPair {
  /// No class.
  public static var absent: UInt32 { 0 }

  /// The same class in both.
  public init(both value: UInt32) { self.init(number: (value, value)) }

  /// The class by version.
  public subscript(version: Int) -> UInt32 {
    get { version == 0 ? number.0 : number.1 }
    set { if version == 0 { number.0 = newValue } else { number.1 = newValue } }
  }
}

extension policy_set: VersionPair {
  /// The header that denies.
  public static var absent: UInt32 { 0 }

  /// The same header in both.
  public init(both value: UInt32) { self.init(header: (value, value)) }

  /// The header by version.
  public subscript(version: Int) -> UInt32 {
    get { version == 0 ? header.0 : header.1 }
    set { if version == 0 { header.0 = newValue } else { header.1 = newValue } }
  }
}

extension endpoint_policies: VersionPair {
  /// Not known yet.
  public static var absent: endpoint_policy { endpoint_policy() }

  /// The same sets in both.
  public init(both value: endpoint_policy) { self.init(version: (value, value)) }

  /// The sets by version.
  public subscript(version: Int) -> endpoint_policy {
    get { version == 0 ? self.version.0 : self.version.1 }
    set { if version == 0 { self.version.0 = newValue } else { self.version.1 = newValue } }
  }
}

extension host_endpoints: VersionPair {
  /// None.
  public static var absent: host_endpoint { host_endpoint() }

  /// The same sets in both.
  public init(both value: host_endpoint) { self.init(version: (value, value)) }

  /// The sets by version.
  public subscript(version: Int) -> host_endpoint {
    get { version == 0 ? self.version.0 : self.version.1 }
    set { if version == 0 { self.version.0 = newValue } else { self.version.1 = newValue } }
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
