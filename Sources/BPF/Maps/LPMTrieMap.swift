import CBPF

/// A longest-prefix-match table (`BPF_MAP_TYPE_LPM_TRIE`). Linux 4.11.
///
/// ```swift
/// let prefixes = try LPMTrieMap<ip_prefix, prefix_entry>(name: "prefixes", capacity: 16_384)
/// ```
///
/// A key is the length in bits (a `UInt32` in host order) followed by the bytes, most significant bit first. ``get(_:)``
/// finds the longest prefix that covers the key, up to the key's own length; all other operations mean the exact
/// prefix. Bits beyond the length do not count. A length beyond the key's size is `invalid`, for `get` merely `nil`.
///
/// Entries are allocated as they are stored (``MapOptions/allocatingOnDemand`` is implied, the kernel demands it). Up to
/// Linux 6.11 modes other than ``UpdateMode/set`` were ignored.
///
/// The kernel has no "look up and delete" for tries, so ``take(_:)`` is two calls. While a prefix is being removed by
/// somebody else, ``forEach(_:)`` may hand over its covering prefix's value with its key.
///
/// **Cost**, as `MapCostTests` prints it: a look-up by system call takes as long as a ``HashMap``'s, a store about half as
/// long again, reading all about four times as long an entry. Programs walk one node for each bit in which prefixes part:
/// where only a few lengths occur a hash of each length may be faster.
public struct LPMTrieMap<Key: BitwiseCopyable, Value: BitwiseCopyable>: ~Copyable, PlainKernelMap, KernelMapStorage {
  /// The map as bytes.
  public let raw: RawMap
  /// A trie of these types.
  public static var shape: MapShape { .keyed(.lpmTrie, Key.self, Value.self) }
  /// The kernel has tries only without preallocation.
  public static var requiredOptions: MapOptions { .allocatingOnDemand }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }

  /// Removes the exact prefix `key` and returns what it held. Not atomic: a look-up and a removal.
  @inlinable
  public borrowing func take(_ key: Key) throws(BPFError) -> Value? {
    // The longest match is `key` itself if that is there; if not, the removal says so.
    let value = try get(key)
    return try remove(key) ? value : nil
  }
}
