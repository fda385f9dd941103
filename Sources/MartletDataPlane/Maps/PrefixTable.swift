import BPF
import CBPF
import MartletNetworking
import MartletServices

/// Map `prefixes`, but for the service ranges, which belong to `MartletServices`.
final class PrefixTable {
  private let map: any MapStorage<ip_prefix, prefix_entry>
  private var entries: [IPPrefix: prefix_entry] = [:]

  init(_ map: any MapStorage<ip_prefix, prefix_entry>) { self.map = map }

  /// Reads what a former agent has left.
  func adopt() throws(BPFError) {
    var found: [IPPrefix: prefix_entry] = [:]
    try map.forEach { key, entry throws(BPFError) in
      if entry.flags != PREFIX_SERVICE.rawValue, let prefix = IPPrefix(key) { found[prefix] = entry }
    }
    entries = found
  }

  /// Makes the entries exactly `wanted`: new ones are written before old ones go.
  func replace(with wanted: [IPPrefix: prefix_entry]) throws(BPFError) {
    for (prefix, entry) in wanted where entries[prefix] != entry {
      try map.set(ip_prefix(prefix), entry)
      entries[prefix] = entry
    }
    for prefix in entries.keys where wanted[prefix] == nil {
      try map.remove(ip_prefix(prefix))
      entries[prefix] = nil
    }
  }
}

extension prefix_entry: @retroactive Equatable {
  /// Whether both fields are the same.
  public static func == (left: prefix_entry, right: prefix_entry) -> Bool {
    left.flags == right.flags && left.node == right.node
  }
}
