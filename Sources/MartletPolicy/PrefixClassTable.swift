import BPF
import MartletNetworking

/// Map `policy_prefixes`. The attributes of a range are its own and those of the ranges that contain it, since a look-up
/// finds one entry.
final class PrefixClassTable {
  private struct Entry {
    var attributes: [Int: Int] = [:]
    var number: ClassNumber?
  }

  private let space: ClassSpace
  private let writer: ClassWriter<IPPrefix>
  private var tree = PrefixTree<Entry>()

  init(_ writer: ClassWriter<IPPrefix>, space: ClassSpace) {
    self.writer = writer
    self.space = space
  }

  /// Ranges with attributes of their own.
  var count: Int { max(tree.count - 1, 0) }

  /// Adds to and takes from the attributes of some ranges.
  func change(_ changes: [IPPrefix: [Int: Int]]) {
    guard !changes.isEmpty else { return }
    if tree.count == 0 { keepFamiliesApart() }
    var touched: Set<IPPrefix> = []
    for (prefix, differences) in changes {
      var entry = tree[prefix] ?? Entry()
      entry.attributes.merge(differences, uniquingKeysWith: +)
      entry.attributes = entry.attributes.filter { $0.value > 0 }
      tree[prefix] = entry
      touched.insert(prefix)
    }
    for prefix in touched { touched.formUnion(tree.prefixes(within: prefix)) }
    for prefix in touched { write(prefix) }
  }

  /// In 128 bits `::/0` would contain all IPv4 addresses: an entry for these stays in between.
  private func keepFamiliesApart() {
    var entry = Entry()
    entry.number = writer.move(.all(.ipv4), from: nil, to: [], isForced: true)
    tree[.all(.ipv4)] = entry
  }

  private func write(_ prefix: IPPrefix) {
    guard var entry = tree[prefix] else { return }
    var attributes = Set(entry.attributes.keys)
    tree.forEachContaining(prefix) { attributes.formUnion($0.attributes.keys) }
    if entry.attributes.isEmpty && prefix != .all(.ipv4) {
      tree[prefix] = nil
      space.release(class: writer.move(prefix, from: entry.number, to: attributes, isGone: true))
    } else {
      entry.number = writer.move(prefix, from: entry.number, to: attributes, isForced: entry.number == nil)
      tree[prefix] = entry
    }
  }
}
