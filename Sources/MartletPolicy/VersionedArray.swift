import BPF

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
