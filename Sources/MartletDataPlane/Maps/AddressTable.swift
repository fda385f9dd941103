import BPF
import CBPF
import MartletNetworking
import MartletServices

/// Map `addresses`, as far as it is about pods and nodes: what each address is to this node.
///
/// Addresses of services are in the same map and belong to `MartletServices`; an entry of ours comes first, and where it goes,
/// `replace(with:restoring:)` lets a cluster IP take the place again.
final class AddressTable {
  private let map: any MapStorage<ip_address, address_entry>
  private var entries: [IPAddress: address_entry] = [:]

  init(_ map: any MapStorage<ip_address, address_entry>) { self.map = map }

  /// Reads what a former agent has left of our kinds.
  func adopt() throws(BPFError) {
    var found: [IPAddress: address_entry] = [:]
    try map.forEach { key, value throws(BPFError) in
      if value.kind != ADDRESS_SERVICE.rawValue && value.kind != ADDRESS_EXTERNAL.rawValue {
        found[IPAddress(key)] = value
      }
    }
    entries = found
  }

  /// Makes the entries exactly `wanted`: new ones are written before old ones go.
  ///
  /// - Returns: the addresses that have lost their entry.
  func replace(with wanted: [IPAddress: address_entry]) throws(BPFError) -> [IPAddress] {
    for (address, entry) in wanted where entries[address] != entry {
      try map.set(ip_address(address), entry)
      entries[address] = entry
    }
    let stale = entries.keys.filter { wanted[$0] == nil }
    for address in stale {
      try map.remove(ip_address(address))
      entries[address] = nil
    }
    return stale
  }

  /// Makes the entries exactly `wanted`. Where one goes, a cluster IP of `services` may take the place.
  func replace(
    with wanted: [IPAddress: address_entry], restoring services: ServiceTable
  ) -> [DataPlaneProblem] {
    do throws(BPFError) {
      return try replace(with: wanted).flatMap { services.restoreAddress($0).problems.map(DataPlaneProblem.init) }
    } catch {
      return [DataPlaneProblem("addresses of pods and nodes", "\(error)")]
    }
  }
}

extension address_entry: @retroactive Equatable {
  /// Whether both fields are the same.
  public static func == (left: address_entry, right: address_entry) -> Bool {
    left.kind == right.kind && left.index == right.index
  }

  init(_ kind: address_kind, index: UInt32 = 0) { self.init(kind: kind.rawValue, index: index) }
}
