import CBPF

/// What kind of map the kernel keeps (`enum bpf_map_type`).
public struct MapType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The kernel's number.
  public let rawValue: UInt32
  /// The type with the kernel's number `rawValue`, known here or not.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  private init(_ type: bpf_map_type) { rawValue = type.rawValue }

  /// `BPF_MAP_TYPE_HASH`.
  public static let hash = MapType(BPF_MAP_TYPE_HASH)
  /// `BPF_MAP_TYPE_ARRAY`.
  public static let array = MapType(BPF_MAP_TYPE_ARRAY)
  /// `BPF_MAP_TYPE_PROG_ARRAY`.
  public static let programArray = MapType(BPF_MAP_TYPE_PROG_ARRAY)
  /// `BPF_MAP_TYPE_PERCPU_HASH`.
  public static let perCPUHash = MapType(BPF_MAP_TYPE_PERCPU_HASH)
  /// `BPF_MAP_TYPE_PERCPU_ARRAY`.
  public static let perCPUArray = MapType(BPF_MAP_TYPE_PERCPU_ARRAY)
  /// `BPF_MAP_TYPE_LRU_HASH`.
  public static let lruHash = MapType(BPF_MAP_TYPE_LRU_HASH)
  /// `BPF_MAP_TYPE_LRU_PERCPU_HASH`.
  public static let lruPerCPUHash = MapType(BPF_MAP_TYPE_LRU_PERCPU_HASH)
  /// `BPF_MAP_TYPE_LPM_TRIE`.
  public static let lpmTrie = MapType(BPF_MAP_TYPE_LPM_TRIE)
  /// `BPF_MAP_TYPE_ARRAY_OF_MAPS`.
  public static let arrayOfMaps = MapType(BPF_MAP_TYPE_ARRAY_OF_MAPS)
  /// `BPF_MAP_TYPE_HASH_OF_MAPS`.
  public static let hashOfMaps = MapType(BPF_MAP_TYPE_HASH_OF_MAPS)
  /// `BPF_MAP_TYPE_DEVMAP`.
  public static let deviceMap = MapType(BPF_MAP_TYPE_DEVMAP)
  /// `BPF_MAP_TYPE_DEVMAP_HASH`.
  public static let deviceHash = MapType(BPF_MAP_TYPE_DEVMAP_HASH)
  /// `BPF_MAP_TYPE_CPUMAP`.
  public static let cpuMap = MapType(BPF_MAP_TYPE_CPUMAP)
  /// `BPF_MAP_TYPE_SOCKMAP`.
  public static let socketMap = MapType(BPF_MAP_TYPE_SOCKMAP)
  /// `BPF_MAP_TYPE_SOCKHASH`.
  public static let socketHash = MapType(BPF_MAP_TYPE_SOCKHASH)
  /// `BPF_MAP_TYPE_SK_STORAGE`.
  public static let socketStorage = MapType(BPF_MAP_TYPE_SK_STORAGE)
  /// `BPF_MAP_TYPE_QUEUE`.
  public static let queue = MapType(BPF_MAP_TYPE_QUEUE)
  /// `BPF_MAP_TYPE_STACK`.
  public static let stack = MapType(BPF_MAP_TYPE_STACK)
  /// `BPF_MAP_TYPE_RINGBUF`. Linux 5.8.
  public static let ringBuffer = MapType(BPF_MAP_TYPE_RINGBUF)
  /// `BPF_MAP_TYPE_BLOOM_FILTER`. Linux 5.16.
  public static let bloomFilter = MapType(BPF_MAP_TYPE_BLOOM_FILTER)
  /// `BPF_MAP_TYPE_USER_RINGBUF`. Linux 6.1.
  public static let userRingBuffer = MapType(BPF_MAP_TYPE_USER_RINGBUF)
  /// `BPF_MAP_TYPE_CGRP_STORAGE`. Linux 6.2.
  public static let cgroupStorage = MapType(rawValue: CBPF_MAP_TYPE_CGRP_STORAGE)
  /// `BPF_MAP_TYPE_ARENA`. Linux 6.9.
  public static let arena = MapType(rawValue: CBPF_MAP_TYPE_ARENA)

  /// The name as bpftool prints it, such as `lru_hash`; `type 40` for a number that is newer than this library.
  public var description: String {
    if self == .cgroupStorage { return "cgrp_storage" }
    if self == .arena { return "arena" }
    // SAFETY: libbpf returns null or a string constant for every number.
    guard let name = libbpf_bpf_map_type_str(bpf_map_type(rawValue: rawValue)) else { return "type \(rawValue)" }
    return String(cString: name)
  }

  /// Whether its values, seen from user space, hold one part for each possible processor.
  public var isPerCPU: Bool {
    [.perCPUHash, .perCPUArray, .lruPerCPUHash].contains(self)
  }
}
