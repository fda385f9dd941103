/// What a map has to be for a Swift type to stand for it.
public struct MapShape: Sendable, Hashable {
  /// The type of map.
  public var type: MapType
  /// Bytes of a key.
  public var keySize: Int
  /// Bytes of a value; on one processor, for per-CPU kinds.
  public var valueSize: Int
  /// The number of entries, where it matters.
  public var capacity: Int?
  /// The options, where they matter.
  public var options: MapOptions?
  // A Swift type that cannot be a key or value, in words.
  private(set) var unfit: String?

  /// A shape; `nil` stands for anything.
  public init(type: MapType, keySize: Int, valueSize: Int, capacity: Int? = nil, options: MapOptions? = nil) {
    self.type = type
    self.keySize = keySize
    self.valueSize = valueSize
    self.capacity = capacity
    self.options = options
  }

  /// Each field in which `info` differs, in words; empty if the map fits.
  public func differences(from info: MapInfo) -> [String] {
    var found: [String] = []
    func compare<Field: Equatable>(_ field: String, _ expected: Field?, _ actual: Field) {
      guard let expected, expected != actual else { return }
      found.append("\(field) is \(actual), not \(expected)")
    }
    compare("type", type, info.type)
    compare("key size", keySize, info.keySize)
    compare("value size", valueSize, info.valueSize)
    compare("capacity", capacity, info.maxEntries)
    compare("options", options, MapOptions(rawValue: info.flags))
    return found
  }
}

extension MapShape {
  /// The shape of a map between two types.
  static func keyed<Key, Value>(_ type: MapType, _ key: Key.Type, _ value: Value.Type) -> MapShape {
    var shape = MapShape(type: type, keySize: MemoryLayout<Key>.size, valueSize: MemoryLayout<Value>.size)
    shape.unfit = tailPadding(key) ?? tailPadding(value)
    return shape
  }

  /// The shape of a map of values without keys.
  static func unkeyed<Value>(_ type: MapType, _ value: Value.Type) -> MapShape {
    var shape = MapShape(type: type, keySize: 0, valueSize: MemoryLayout<Value>.size)
    shape.unfit = tailPadding(value)
    return shape
  }

  // A Swift struct's size leaves out the padding at its end, which C counts: single and batched calls would disagree.
  private static func tailPadding<Element>(_ element: Element.Type) -> String? {
    let (size, stride) = (MemoryLayout<Element>.size, MemoryLayout<Element>.stride)
    return size == stride ? nil : "\(element) has \(size) bytes but takes \(stride): declare it in a C header"
  }
}
