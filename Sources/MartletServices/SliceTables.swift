import BPF
import CBPF
import MartletModel
import MartletNetworking

/// Where the endpoints of one service port and family stand in the arrays.
struct PortSlices {
  var cluster = backend_slice()
  var local = backend_slice()
  var maglev = backend_slice()
}

/// Endpoint sets and where they stand.
struct Placement {
  var sets = EndpointSets()
  var slices = PortSlices()
}

/// The arrays `backends` and `maglev`, and who uses which part of them.
struct SliceTables {
  /// An array has no run of free entries that is long enough.
  struct NoRoom: Error {
    let map: String
    let needed: Int
    let free: Int
  }

  private let backendEntries: any ArrayStorage<backend>
  private let maglevEntries: any ArrayStorage<UInt32>
  private let hashing: Maglev
  private var backends: SliceStore
  private var maglevs: SliceStore

  init(_ maps: ServiceMaps, hashing: Maglev) {
    backendEntries = maps.backends
    maglevEntries = maps.maglev
    self.hashing = hashing
    backends = SliceStore(capacity: maps.backends.count)
    maglevs = SliceStore(capacity: maps.maglev.count)
  }

  // MARK: - References

  /// Counts a frontend that is about to be in the kernel's table.
  mutating func retain(_ frontend: frontend) {
    retain(PortSlices(cluster: frontend.cluster, local: frontend.local, maglev: frontend.maglev))
  }

  /// Takes back the count of a frontend that is in the kernel's table no more.
  mutating func release(_ frontend: frontend) {
    release(PortSlices(cluster: frontend.cluster, local: frontend.local, maglev: frontend.maglev))
  }

  mutating func release(_ slices: PortSlices) {
    backends.release(slices.cluster)
    backends.release(slices.local)
    maglevs.release(slices.maglev)
  }

  private mutating func retain(_ slices: PortSlices) {
    backends.retain(slices.cluster)
    backends.retain(slices.local)
    maglevs.retain(slices.maglev)
  }

  /// Entries of map `backends` that no slice has, not even a retired one.
  var freeBackends: Int { backends.freeCount }

  var hasRetired: Bool { backends.hasRetired || maglevs.hasRetired }

  /// Frees what has been retired for `grace`; returns whether there is more room than before.
  mutating func reclaim(now: ContinuousClock.Instant, after grace: Duration) -> Bool {
    let freed = [
      backends.reclaim(now: now, after: grace), maglevs.reclaim(now: now, after: grace),
    ]
    return freed.contains(true)
  }

  // MARK: - Placement

  /// Puts the endpoints of `plan` into slices, each with one reference for the caller to ``release(_:)``.
  ///
  /// What stands already where `old` says is not written again. If there is no room, nothing is kept.
  mutating func place(
    _ plan: ServicePortPlan, instead old: PerFamily<Placement>?
  ) throws(NoRoom) -> PerFamily<Placement> {
    var taken = Taken()
    do {
      var placements = PerFamily { Placement(sets: plan.sets[$0]) }
      for family in AddressFamily.allCases {
        placements[family].slices = try place(
          plan.sets[family], hashed: plan.usesMaglev, instead: old?[family] ?? Placement(), &taken)
      }
      return placements
    } catch {
      giveBack(taken)
      throw error
    }
  }

  /// What has been taken for a plan so far, to be given back if there is no room for the rest.
  private struct Taken {
    enum Slice {
      case fresh(backend_slice)
      case shared(backend_slice)
    }
    var backends: [Slice] = []
    var maglevs: [Slice] = []
  }

  private mutating func place(
    _ sets: EndpointSets, hashed: Bool, instead old: Placement, _ taken: inout Taken
  ) throws(NoRoom) -> PortSlices {
    var slices = PortSlices()
    let keepsCluster = sets.cluster == old.sets.cluster
    slices.cluster =
      keepsCluster ? share(old.slices.cluster, &taken) : try write(sets.cluster, &taken)
    slices.local = try placeLocal(sets, cluster: slices.cluster, keepsCluster, instead: old, &taken)
    if hashed, slices.cluster.count > 0 {
      slices.maglev = try placeTable(
        for: sets.cluster, at: slices.cluster.offset, instead: keepsCluster ? old.slices.maglev : nil, &taken)
    }
    return slices
  }

  /// The local set stands at the beginning of the cluster slice if it can, lest it keep or take entries of its own.
  private mutating func placeLocal(
    _ sets: EndpointSets, cluster: backend_slice, _ keepsCluster: Bool, instead old: Placement, _ taken: inout Taken
  ) throws(NoRoom) -> backend_slice {
    guard !sets.local.isEmpty else { return backend_slice() }
    if sets.cluster.starts(with: sets.local) {
      return share(backend_slice(offset: cluster.offset, count: UInt32(sets.local.count)), &taken)
    }
    let isApart = old.slices.local.offset != old.slices.cluster.offset || old.slices.cluster.count == 0
    if sets.local == old.sets.local, keepsCluster || isApart { return share(old.slices.local, &taken) }
    return try write(sets.local, &taken)
  }

  private mutating func placeTable(
    for backends: [Backend], at offset: UInt32, instead old: backend_slice?, _ taken: inout Taken
  ) throws(NoRoom) -> backend_slice {
    if let old, old.count == UInt32(hashing.size) {
      maglevs.retain(old)
      taken.maglevs.append(.shared(old))
      return old
    }
    guard let slice = maglevs.allocate(hashing.size) else {
      throw NoRoom(map: "maglev", needed: hashing.size, free: maglevs.freeCount)
    }
    taken.maglevs.append(.fresh(slice))
    maglevEntries.write(hashing.table(for: backends).map { offset + $0 }, at: Int(slice.offset))
    return slice
  }

  private mutating func share(_ slice: backend_slice, _ taken: inout Taken) -> backend_slice {
    backends.retain(slice)
    taken.backends.append(.shared(slice))
    return slice
  }

  private mutating func write(_ entries: [Backend], _ taken: inout Taken) throws(NoRoom) -> backend_slice {
    guard let slice = backends.allocate(entries.count) else {
      throw NoRoom(map: "backends", needed: entries.count, free: backends.freeCount)
    }
    taken.backends.append(.fresh(slice))
    if !entries.isEmpty { backendEntries.write(entries.map(\.entry), at: Int(slice.offset)) }
    return slice
  }

  private mutating func giveBack(_ taken: Taken) {
    Self.giveBack(taken.backends, to: &backends)
    Self.giveBack(taken.maglevs, to: &maglevs)
  }

  /// Backwards: a fresh slice may have been shared after it was taken.
  private static func giveBack(_ slices: [Taken.Slice], to store: inout SliceStore) {
    for slice in slices.reversed() {
      switch slice {
      case .fresh(let slice): store.discard(slice)
      case .shared(let slice): store.release(slice)
      }
    }
  }
}

// MARK: - Take-over

extension SliceTables {
  /// Counts the slices of `frontends`, which are in the kernel's table already. `false`, and nothing changes, if they
  /// cannot all be right: they overlap or exceed the array.
  mutating func adopt(_ frontends: [frontend]) -> Bool {
    let standing = frontends.flatMap { [$0.cluster, $0.local] }
    guard let backends = SliceStore(capacity: backendEntries.count, adopting: standing),
      let maglevs = SliceStore(capacity: maglevEntries.count, adopting: frontends.map(\.maglev))
    else { return false }
    self.backends = backends
    self.maglevs = maglevs
    return true
  }

  /// What the frontends of one service port and family, at take-over, say about it.
  func placement(of frontends: some Sequence<frontend>) -> Placement {
    var placement = Placement()
    for frontend in frontends {
      if frontend.cluster.count > 0 { placement.slices.cluster = frontend.cluster }
      if frontend.local.count > 0 { placement.slices.local = frontend.local }
      if frontend.maglev.count > 0 { placement.slices.maglev = frontend.maglev }
    }
    placement.sets.cluster = read(placement.slices.cluster)
    placement.sets.local = read(placement.slices.local)
    if !isTable(placement.slices.maglev, of: placement) { placement.slices.maglev = backend_slice() }
    return placement
  }

  private func read(_ slice: backend_slice) -> [Backend] {
    (0..<Int(slice.count)).map { Backend(backendEntries.read(Int(slice.offset) + $0)) }
  }

  /// Whether the slice is the table that we would build: another version may have built another.
  private func isTable(_ slice: backend_slice, of placement: Placement) -> Bool {
    guard slice.count == UInt32(hashing.size) else { return false }
    let table = hashing.table(for: placement.sets.cluster)
    return table.indices.allSatisfy {
      maglevEntries.read(Int(slice.offset) + $0) == placement.slices.cluster.offset + table[$0]
    }
  }
}
