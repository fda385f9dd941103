/// A typed handle to a kernel map. It owns a descriptor, cannot be copied, and closes the descriptor at the end of its
/// scope; keep handles that live long in a `final class`.
///
/// A handle is made in one of four ways, and each checks that the map is what the type says, naming every field that
/// differs: by creating the map, by opening a pin, by number, or by taking over a descriptor that an `Object` hands out.
public protocol KernelMap: ~Copyable, Sendable {
  /// What the map has to be.
  static var shape: MapShape { get }
  /// The map as bytes; it holds the descriptor.
  var raw: RawMap { get }
  /// Takes over `raw` without a look at it. Use ``init(_:)``, which checks.
  init(unchecked raw: consuming RawMap) throws(BPFError)
}

extension KernelMap where Self: ~Copyable {
  /// Takes over a map. Throws ``BPFError/Kind-swift.struct/layout`` naming each field that differs from what the type
  /// says.
  public init(_ raw: consuming RawMap) throws(BPFError) {
    try raw.check(Self.shape)
    try self.init(unchecked: raw)
  }

  /// Takes over the descriptor of a map.
  ///
  /// - Parameter name: what errors are to call it; by default the kernel's name for it.
  public init(_ descriptor: consuming FileDescriptor, name: String? = nil) throws(BPFError) {
    try self.init(RawMap(descriptor, name: name))
  }

  /// Opens the map with this number. Needs `CAP_SYS_ADMIN`.
  ///
  /// The corresponding C function is `bpf_map_get_fd_by_id`.
  public init(id: UInt32) throws(BPFError) { try self.init(RawMap(id: id)) }

  /// Opens the map that is pinned at `path`. Throws ``BPFError/Kind-swift.struct/layout`` naming each field that
  /// differs; what is pinned under the right name may be an older version's.
  ///
  /// - Parameters:
  ///   - capacity: refuse a map of another capacity.
  ///   - options: refuse a map with other options.
  ///
  /// The corresponding C function is `bpf_obj_get`.
  public init(pinned path: String, capacity: Int? = nil, options: MapOptions? = nil) throws(BPFError) {
    let raw = try RawMap(pinned: path)
    var shape = Self.shape
    shape.capacity = capacity
    shape.options = options ?? shape.options
    try raw.check(shape)
    try self.init(unchecked: raw)
  }

  /// The name that errors give.
  public var name: String { raw.name }

  /// The most entries it can hold; the size in bytes of a ring buffer.
  public var capacity: Int { raw.capacity }

  /// What the kernel tells about the map now.
  public borrowing func info() throws(BPFError) -> MapInfo { try raw.info() }

  /// A second handle to the same map.
  public borrowing func duplicate() throws(BPFError) -> Self { try Self(unchecked: raw.duplicate()) }

  /// Gives the map a name in the BPF file system; see ``RawMap/pin(at:)``.
  public borrowing func pin(at path: String) throws(BPFError) { try raw.pin(at: path) }

  /// Makes the map read-only for system calls, for ever; see ``RawMap/freeze()``.
  public borrowing func freeze() throws(BPFError) { try raw.freeze() }
}

/// A kind of map that needs nothing but a size to be created.
public protocol PlainKernelMap: KernelMap, ~Copyable {
  /// Options that every map of this kind has.
  static var requiredOptions: MapOptions { get }
}

extension PlainKernelMap where Self: ~Copyable {
  /// None.
  public static var requiredOptions: MapOptions { [] }

  /// Creates a map.
  ///
  /// - Parameters:
  ///   - name: what tools show: at most 15 letters, digits, `_` and `.`.
  ///   - capacity: the most entries it can hold.
  ///   - options: how it is created, besides what the kind requires.
  ///   - numaNode: the node whose memory is used; `nil` leaves it to the kernel.
  ///
  /// The corresponding C function is `bpf_map_create`.
  public init(name: String, capacity: Int, options: MapOptions = [], numaNode: Int? = nil) throws(BPFError) {
    let shape = Self.shape
    let definition = MapDefinition(
      type: shape.type, name: name, keySize: shape.keySize, valueSize: shape.valueSize, capacity: capacity,
      options: options.union(Self.requiredOptions), numaNode: numaNode)
    try self.init(RawMap(creating: definition))
  }
}

extension RawMap {
  /// Refuses a map that differs from `shape`, or whose key has padding as far as its type is known.
  borrowing func check(_ shape: MapShape) throws(BPFError) {
    let info = try info()
    var differences = (shape.unfit.map { [$0] } ?? []) + shape.differences(from: info)
    if info.btfID != 0 { differences += try keyPadding() }
    guard differences.isEmpty else {
      let hint = differences.joined(separator: "; ")
      throw BPFError(.layout, operation: "open \(shape.type) map", object: name, hint: hint)
    }
  }

  // Neither compiler promises what is in padding, and the kernel hashes it: equal keys would be found or not by chance.
  private borrowing func keyPadding() throws(BPFError) -> [String] {
    do throws(BPFError) {
      guard let key = try BTFLayout.ofMap(descriptor).key else { return [] }
      return key.holes.map { "key \(key.name) has padding at bytes \($0.lowerBound) to \($0.upperBound - 1)" }
    } catch {
      // Reading types takes CAP_SYS_ADMIN, using maps does not.
      guard error.kind == .permission else { throw error }
      return []
    }
  }
}
