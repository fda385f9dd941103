import CBPF
import Glibc

/// All that is needed to create a map without an object file.
public struct MapDefinition: Sendable, Hashable {
  /// The type of map.
  public var type: MapType
  /// The name that tools show: at most 15 letters, digits, `_` and `.`.
  public var name: String
  /// Bytes of a key.
  public var keySize: Int
  /// Bytes of a value; on one processor, for per-CPU kinds.
  public var valueSize: Int
  /// The most entries it can hold; the size in bytes of a ring buffer.
  public var capacity: Int
  /// How it is created.
  public var options: MapOptions
  /// A number whose meaning depends on the type (`map_extra`). Linux 5.16.
  public var extra: UInt64
  /// The NUMA node whose memory is used; `nil` leaves it to the kernel.
  public var numaNode: Int?

  /// A definition; nothing is checked before the map is created.
  public init(
    type: MapType, name: String, keySize: Int, valueSize: Int, capacity: Int, options: MapOptions = [],
    extra: UInt64 = 0, numaNode: Int? = nil
  ) {
    self.type = type
    self.name = name
    self.keySize = keySize
    self.valueSize = valueSize
    self.capacity = capacity
    self.options = options
    self.extra = extra
    self.numaNode = numaNode
  }

  /// Creates the map. `template` is what inner maps look like, for maps of maps: a descriptor, or -1.
  func create(template: Int32 = -1) throws(BPFError) -> FileDescriptor {
    try check()
    var options = options
    if numaNode != nil { options.insert(.numaNode) }
    var request = bpf_map_create_opts()
    request.sz = MemoryLayout<bpf_map_create_opts>.size
    request.map_flags = options.rawValue
    request.map_extra = extra
    request.numa_node = UInt32(numaNode ?? 0)
    if template >= 0 { request.inner_map_fd = UInt32(template) }
    let descriptor = bpf_map_create(
      bpf_map_type(rawValue: type.rawValue), name, UInt32(keySize), UInt32(valueSize), UInt32(capacity), &request)
    guard descriptor >= 0 else {
      throw BPFError(errno: descriptor, operation: "create \(type) map", object: name, feature: type.feature)
    }
    return FileDescriptor(owning: descriptor)
  }

  // What the kernel would answer with a bare EINVAL.
  private func check() throws(BPFError) {
    func refuse(_ hint: String) -> BPFError {
      BPFError(.invalid, operation: "create \(type) map", object: name, errno: EINVAL, hint: hint)
    }
    let allowed = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."): true
      default: false
      }
    }
    guard allowed else { throw refuse("a map's name has only letters, digits, _ and .") }
    guard name.utf8.count < Int(BPF_OBJ_NAME_LEN) else {
      throw refuse("the name has \(name.utf8.count) bytes; the kernel keeps at most \(BPF_OBJ_NAME_LEN - 1)")
    }
    guard capacity > 0, UInt32(exactly: capacity) != nil else {
      throw refuse("the capacity is \(capacity); a map has room for 1 to \(UInt32.max) entries")
    }
    let page = sysconf(Int32(_SC_PAGESIZE))
    guard type != .ringBuffer || (capacity % page == 0 && capacity & (capacity - 1) == 0) else {
      throw refuse("a ring buffer's size is a power of two and a multiple of \(page) bytes, not \(capacity)")
    }
  }
}

extension MapType {
  /// The first kernel with this kind of map, for the hint of a refusal.
  var feature: KernelFeature? {
    switch self {
    case .lpmTrie: KernelFeature("BPF trie", since: KernelVersion(4, 11))
    case .arrayOfMaps, .hashOfMaps: KernelFeature("BPF map of maps", since: KernelVersion(4, 12))
    case .queue, .stack: KernelFeature("BPF \(self)", since: KernelVersion(4, 20))
    case .ringBuffer: KernelFeature("BPF ring buffer", since: KernelVersion(5, 8))
    default: nil
    }
  }
}
