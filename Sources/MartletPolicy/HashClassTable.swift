import BPF

/// A hash map from keys to classes: `identities` or `policy_tuples`. The attributes of a key are the union of what has
/// been added under it, each counted.
final class HashClassTable<Key: Hashable & CustomStringConvertible> {
  private struct Entry {
    var attributes: [Int: Int] = [:]
    var number: ClassNumber?
  }

  private let space: ClassSpace
  private var entries: [Key: Entry] = [:]
  private let writer: ClassWriter<Key>

  init(_ writer: ClassWriter<Key>, space: ClassSpace) {
    self.writer = writer
    self.space = space
  }

  /// Keys with attributes.
  var count: Int { entries.count }

  /// Adds to and takes from the attributes of some keys: one store for each key that is of another class then.
  func change(_ changes: [Key: [Int: Int]]) {
    for (key, differences) in changes { change(key, differences) }
  }

  private func change(_ key: Key, _ differences: [Int: Int]) {
    var entry = entries[key] ?? Entry()
    entry.attributes.merge(differences, uniquingKeysWith: +)
    entry.attributes = entry.attributes.filter { $0.value > 0 }
    guard !entry.attributes.isEmpty else {
      guard let old = entries.removeValue(forKey: key)?.number else { return }
      space.release(class: writer.move(key, from: old, to: [], isGone: true))
      return
    }
    entry.number = writer.move(key, from: entry.number, to: entry.attributes.keys)
    entries[key] = entry
  }
}
