import BPF
import CBPF
import MartletNetworking

/// Map `source_ranges`: which clients the load-balancer addresses of a service admit.
///
/// Ranges are added before a frontend asks for them, and removed after it has ceased to. When they change, old and new
/// ones are both admitted for the moment between the two.
struct SourceRangeTable {
  private let map: any MapStorage<source_range_key, UInt32>
  private var ranges: [UInt32: Ranges] = [:]

  private struct Ranges {
    /// Surely in the map.
    var present: Set<IPPrefix> = []
    /// Perhaps in the map: a write that failed may have written some.
    var possible: Set<IPPrefix> = []
  }

  init(_ map: any MapStorage<source_range_key, UInt32>) {
    self.map = map
  }

  /// Writes those of `wanted` that the map does not surely have.
  mutating func add(_ wanted: Set<IPPrefix>, for service: UInt32) throws(BPFError) {
    let missing = wanted.subtracting(ranges[service]?.present ?? []).sorted()
    guard !missing.isEmpty else { return }
    ranges[service, default: Ranges()].possible.formUnion(missing)
    try map.update(
      keys: missing.map { source_range_key(service: service, prefix: $0) }, values: missing.map(\.familyNumber),
      mode: .set)
    ranges[service]?.present.formUnion(missing)
  }

  /// Removes those that the map may have and that are not `wanted`.
  mutating func removeAll(but wanted: Set<IPPrefix>, for service: UInt32) throws(BPFError) {
    let surplus = (ranges[service]?.possible ?? []).subtracting(wanted).sorted()
    guard !surplus.isEmpty else { return }
    ranges[service]?.present.subtract(surplus)
    try map.remove(keys: surplus.map { source_range_key(service: service, prefix: $0) })
    ranges[service]?.possible.subtract(surplus)
    if wanted.isEmpty { ranges[service] = nil }
  }

  /// Takes note of what the map has at take-over; returns the services.
  mutating func adopt() throws(BPFError) -> [UInt32] {
    var found: [UInt32: Ranges] = [:]
    try map.forEach { (key: source_range_key, family: UInt32) throws(BPFError) in
      guard let prefix = key.prefix else { return }
      if family == prefix.familyNumber {
        found[UInt32(bigEndian: key.service), default: Ranges()].present.insert(prefix)
      }
      found[UInt32(bigEndian: key.service), default: Ranges()].possible.insert(prefix)
    }
    ranges = found
    return Array(found.keys)
  }
}

extension IPPrefix {
  /// What the map holds of it: one of IPv6 does not admit clients of IPv4, whose addresses it may have in it.
  fileprivate var familyNumber: UInt32 { family == .ipv4 ? 4 : 6 }
}
