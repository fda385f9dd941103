import BPF

/// A map of which this process has a copy, so that only differences are written.
final class MirroredMap<Name: Hashable, Content: Equatable, Key: BitwiseCopyable, Value: BitwiseCopyable> {
  private let map: any MapStorage<Key, Value>
  private let key: (Name) -> Key
  private let value: (Content) -> Value
  private var entries: [Name: Content] = [:]

  /// A copy of `map`, which is empty. `key` and `value` say how things are laid out in it.
  init(
    _ map: any MapStorage<Key, Value>, key: @escaping (Name) -> Key, value: @escaping (Content) -> Value
  ) {
    self.map = map
    self.key = key
    self.value = value
  }

  /// Makes the entries exactly `wanted`: new ones are written before old ones go. Returns whether that changed any.
  @discardableResult
  func replace(with wanted: [Name: Content]) throws(BPFError) -> Bool {
    var changed = false
    for (name, content) in wanted where entries[name] != content {
      try map.set(key(name), value(content))
      entries[name] = content
      changed = true
    }
    for name in entries.keys where wanted[name] == nil {
      try map.remove(key(name))
      entries[name] = nil
      changed = true
    }
    return changed
  }
}
