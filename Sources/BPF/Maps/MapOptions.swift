import CBPF

/// How a map is created (`BPF_F_…` of `BPF_MAP_CREATE`).
public struct MapOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
  /// The bits of the kernel's interface.
  public let rawValue: UInt32
  /// Options by their bits.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Entries are allocated when they are stored, not when the map is created (`BPF_F_NO_PREALLOC`). Saves memory in a
  /// sparse hash; each new entry costs an allocation, which can fail. A trie is always so.
  public static let allocatingOnDemand = MapOptions(rawValue: 1 << 0)
  /// A list per processor instead of a common one decides what is least recently used (`BPF_F_NO_COMMON_LRU`): faster,
  /// but a
  /// processor drops entries while others have room: one that stores alone has only its share of the capacity.
  public static let perCPULists = MapOptions(rawValue: 1 << 1)
  /// Memory comes from one NUMA node (`BPF_F_NUMA_NODE`); set by the creation's `numaNode`.
  public static let numaNode = MapOptions(rawValue: 1 << 2)
  /// The new descriptor can only read (`BPF_F_RDONLY`).
  public static let readOnlyDescriptor = MapOptions(rawValue: 1 << 3)
  /// The new descriptor can only write (`BPF_F_WRONLY`).
  public static let writeOnlyDescriptor = MapOptions(rawValue: 1 << 4)
  /// The hash is not seeded at random (`BPF_F_ZERO_SEED`). For measurements only: attackers can make keys collide.
  public static let zeroSeed = MapOptions(rawValue: 1 << 6)
  /// Programs can only read (`BPF_F_RDONLY_PROG`). Linux 5.2.
  public static let readOnlyForPrograms = MapOptions(rawValue: 1 << 7)
  /// Programs can only write (`BPF_F_WRONLY_PROG`). Linux 5.2.
  public static let writeOnlyForPrograms = MapOptions(rawValue: 1 << 8)
  /// The array can be mapped into memory (`BPF_F_MMAPABLE`): what ``MappedArray`` needs. Linux 5.5.
  public static let mappable = MapOptions(rawValue: 1 << 10)
  /// An array of maps takes arrays of other lengths than the template's (`BPF_F_INNER_MAP`). Linux 5.10.
  public static let resizableInnerMap = MapOptions(rawValue: 1 << 12)

  // In the order of their bits.
  private static let names: [(MapOptions, String)] = [
    (.allocatingOnDemand, "BPF_F_NO_PREALLOC"), (.perCPULists, "BPF_F_NO_COMMON_LRU"),
    (.numaNode, "BPF_F_NUMA_NODE"), (.readOnlyDescriptor, "BPF_F_RDONLY"), (.writeOnlyDescriptor, "BPF_F_WRONLY"),
    (.zeroSeed, "BPF_F_ZERO_SEED"), (.readOnlyForPrograms, "BPF_F_RDONLY_PROG"),
    (.writeOnlyForPrograms, "BPF_F_WRONLY_PROG"), (.mappable, "BPF_F_MMAPABLE"),
    (.resizableInnerMap, "BPF_F_INNER_MAP"),
  ]

  /// The kernel's names of the options, or `none`.
  public var description: String {
    var names = Self.names.filter { contains($0.0) }.map(\.1)
    let unknown = Self.names.reduce(rawValue) { $0 & ~$1.0.rawValue }
    if unknown != 0 { names.append("0x" + String(unknown, radix: 16)) }
    return names.isEmpty ? "none" : names.joined(separator: " | ")
  }
}
