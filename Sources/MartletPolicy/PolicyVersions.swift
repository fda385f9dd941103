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
