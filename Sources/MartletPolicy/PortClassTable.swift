import BPF
import CBPF

/// Planes of map `policy_ports`: runs of ports with the same attributes, each of which is a set of ports that rules ask
/// for.
final class PortClassTable {
  private struct Run {
    var start: Int
    var attributes: [Int]
    var number: ClassNumber
  }

  private let space: ClassSpace
  private let kind: SpaceKind
  private let sets: PolicySets
  private let ports: any ArrayStorage<UInt32>
  /// Sorted; each ends where the next begins, the last at the end of the planes.
  private var runs: [Run]
  private let end: Int

  /// The table of `planes`.
  init(
    _ kind: SpaceKind, planes: Range<UInt32>, spaces: ClassSpaces, sets: PolicySets, ports: any ArrayStorage<UInt32>
  ) {
    self.kind = kind
    self.sets = sets
    self.ports = ports
    space = spaces[kind]
    runs = [Run(start: Int(planes.lowerBound) << 16, attributes: [], number: space.retainClass([]).number)]
    end = Int(planes.upperBound) << 16
  }

  /// Makes `attribute` one of all ports in `set`.
  func insert(_ attribute: Int, _ set: PortSet) {
    change(set) { attributes in attributes.append(attribute) }
  }

  /// Takes `attribute` from all ports in `set`, which had it.
  func remove(_ attribute: Int, _ set: PortSet) {
    change(set) { attributes in attributes.removeAll { $0 == attribute } }
    mergeRuns()
  }

  private func change(_ set: PortSet, _ edit: (inout [Int]) -> Void) {
    for range in set.ranges {
      let first = split(at: range.lowerBound)
      let last = split(at: range.upperBound)
      for index in first..<last { change(index, edit) }
    }
  }

  private func change(_ index: Int, _ edit: (inout [Int]) -> Void) {
    let old = runs[index].number
    edit(&runs[index].attributes)
    let (number, isNew) = space.retainClass(runs[index].attributes)
    if isNew { sets.prepare(number, of: kind) }
    if number != old {
      let bound = index + 1 < runs.count ? runs[index + 1].start : end
      ports.write(Array(repeating: number, count: bound - runs[index].start), at: runs[index].start)
    }
    runs[index].number = number
    space.release(class: old)
  }

  /// The index of the run that begins at `start`.
  private func split(at start: Int) -> Int {
    guard start < end else { return runs.count }
    var (low, high) = (0, runs.count)
    while low < high {
      let middle = (low + high) / 2
      if runs[middle].start < start { low = middle + 1 } else { high = middle }
    }
    if low < runs.count, runs[low].start == start { return low }
    var run = runs[low - 1]
    run.start = start
    run.number = space.retainClass(run.attributes).number
    runs.insert(run, at: low)
    return low
  }

  private func mergeRuns() {
    var merged: [Run] = []
    for run in runs {
      if let last = merged.last, last.number == run.number {
        space.release(class: run.number)
      } else {
        merged.append(run)
      }
    }
    runs = merged
  }
}
