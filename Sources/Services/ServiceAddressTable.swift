import BPF
import CBPF
import Networking

/// The cluster IPs among map `addresses`, and the service ranges among map `prefixes`.
///
/// With the first, a port that a cluster IP does not have is refused; with the second, an address that no service has
/// is dropped.
///
/// `addresses` is shared with whoever programs pods and nodes, whose entries come first: a cluster IP is entered only
/// where nothing is, and only entries of kind `ADDRESS_SERVICE` are removed. Who removes an entry of another kind says
/// so by ``restore(_:)``.
struct ServiceAddressTable {
  private let addresses: any MapStorage<ip_address, address_entry>
  private let prefixes: any MapStorage<ip_prefix, prefix_entry>
  /// How many frontends make the address a cluster IP.
  private var uses: [IPAddress: Int] = [:]
  private var changedAddresses: Set<IPAddress> = []
  private var wantedPrefixes: Set<IPPrefix> = []
  private var installedPrefixes: Set<IPPrefix> = []

  init(_ maps: ServiceMaps) {
    addresses = maps.addresses
    prefixes = maps.prefixes
  }

  mutating func retain(_ address: IPAddress) {
    let count = uses[address, default: 0]
    uses[address] = count + 1
    if count == 0 { changedAddresses.insert(address) }
  }

  mutating func release(_ address: IPAddress) {
    guard let count = uses[address] else { preconditionFailure("\(address) is no cluster IP") }
    uses[address] = count > 1 ? count - 1 : nil
    if count == 1 { changedAddresses.insert(address) }
  }

  mutating func restore(_ address: IPAddress) {
    if uses[address] != nil { changedAddresses.insert(address) }
  }

  mutating func setPrefixes(_ wanted: [IPPrefix]) {
    wantedPrefixes = Set(wanted)
  }

  /// Takes note of what the maps have at take-over: what is not wanted of it goes with the next writes.
  mutating func adopt() throws(BPFError) {
    var found: Set<IPAddress> = []
    try addresses.forEach { (key: ip_address, entry: address_entry) throws(BPFError) in
      if entry.kind == ADDRESS_SERVICE.rawValue { found.insert(IPAddress(key)) }
    }
    changedAddresses.formUnion(found)
    var ranges: Set<IPPrefix> = []
    try prefixes.forEach { (key: ip_prefix, entry: prefix_entry) throws(BPFError) in
      if entry.flags == PREFIX_SERVICE.rawValue, let prefix = IPPrefix(key) { ranges.insert(prefix) }
    }
    installedPrefixes = ranges
  }

  /// Writes what has changed. What a map refuses is tried again the next time.
  mutating func write() -> [ServiceProblem] {
    var problems: [ServiceProblem] = []
    for address in changedAddresses.sorted() {
      do throws(BPFError) {
        try write(address)
        changedAddresses.remove(address)
      } catch {
        problems.append(ServiceProblem("cluster IP \(address)", .map(error)))
      }
    }
    for prefix in wantedPrefixes.symmetricDifference(installedPrefixes).sorted() {
      do throws(BPFError) {
        try write(prefix)
      } catch {
        problems.append(ServiceProblem("service range \(prefix)", .map(error)))
      }
    }
    return problems
  }

  private func write(_ address: IPAddress) throws(BPFError) {
    let key = ip_address(address)
    let existing = try addresses.get(key)
    if uses[address] != nil {
      if existing == nil { try addresses.insert(key, address_entry(kind: ADDRESS_SERVICE.rawValue, index: 0)) }
    } else if existing?.kind == ADDRESS_SERVICE.rawValue {
      try addresses.remove(key)
    }
  }

  private mutating func write(_ prefix: IPPrefix) throws(BPFError) {
    if wantedPrefixes.contains(prefix) {
      try prefixes.set(ip_prefix(prefix), prefix_entry(flags: PREFIX_SERVICE.rawValue, node: 0))
      installedPrefixes.insert(prefix)
    } else {
      try prefixes.remove(ip_prefix(prefix))
      installedPrefixes.remove(prefix)
    }
  }
}
