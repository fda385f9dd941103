// What ``ArrayOfMaps`` and ``HashOfMaps`` share. An associated type cannot be noncopyable in Swift 6.3, so this is not a
// protocol of its own.
extension DescriptorValuedMap where Self: ~Copyable {
  /// Creates the outer map; the inner maps are to be like `template`, which itself is not kept.
  init<Inner: KernelMap & ~Copyable>(
    _ type: MapType, name: String, capacity: Int, template: borrowing Inner
  ) throws(BPFError) {
    let definition = MapDefinition(
      type: type, name: name, keySize: MemoryLayout<Key>.size, valueSize: 4, capacity: capacity)
    try self.init(RawMap(definition.create(template: template.raw.descriptor.rawValue), name: name))
  }

  /// Stores `map` under `key`, and says what is wrong if it is not like the template.
  borrowing func store<Inner: KernelMap & ~Copyable>(_ key: Key, _ map: borrowing Inner) throws(BPFError) {
    do throws(BPFError) {
      try set(key, map.raw.descriptor)
    } catch {
      guard error.kind == .invalid else { throw error }
      var error = error
      error.hint = "\(map.name) differs from the template that \(name) was created with"
      throw error
    }
  }

  /// A handle to the map under `key`.
  borrowing func open<Inner: KernelMap & ~Copyable>(_ key: Key) throws(BPFError) -> Inner? {
    guard let id = try id(key) else { return nil }
    return try Inner(id: id)
  }
}
