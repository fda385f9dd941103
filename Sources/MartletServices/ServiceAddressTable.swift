import BPF
import CBPF
import MartletNetworking

/// The addresses of services among map `addresses`, and the service ranges among map `prefixes`.
///
/// With the first, a port that a cluster IP does not have is refused, and a ping of any address of a service dropped; with
/// the second, an address that no service has is dropped.
///
/// `addresses` is shared with whoever programs pods and nodes, whose entries come first: a service's address is entered
/// only where nothing is, and only entries of its kinds are removed. Who removes an entry of another kind says so by
/// ``restore(_:)``.
struct ServiceAddressTable {
  private let addresses: any MapStorage<ip_address, address_entry>
  private let prefixes: any MapStorage<ip_prefix, prefix_entry>
  /// How many frontends the address has, as a cluster IP and as one that is reached from outside.
  private var uses: [IPAddress: (cluster: Int, external: Int)] = [:]
  private var changedAddresses: Set<IPAddress> = []
  private var wantedPrefixes: Set<IPPrefix> = []
  private var installedPrefixes: Set<IPPrefix> = []

  init(_ maps: ServiceMaps) {
    addresses = maps.addresses
    prefixes = maps.prefixes
  }

  mutating func retain(_ frontend: ServicePortPlan.Frontend) { count(frontend, 1) }

  mutating func release(_ frontend: ServicePortPlan.Frontend) { count(frontend, -1) }

  private mutating func count(_ frontend: ServicePortPlan.Frontend, _ change: Int) {
    // A node port's address is a node's.
    if frontend.kind == .nodePort { return }
    let address = frontend.key.address
    let before = kind(of: address)
    var count = uses[address] ?? (0, 0)
    if frontend.kind == .clusterIP { count.cluster += change } else { count.external += change }
    precondition(min(count.cluster, count.external) >= 0, "\(address) is released more often than retained")
    uses[address] = count == (0, 0) ? nil : count
    if kind(of: address) != before { changedAddresses.insert(address) }
  }

  /// What the address is to the datapath; `nil`: no service's.
  private func kind(of address: IPAddress) -> address_kind? {
    uses[address].map { $0.cluster > 0 ? ADDRESS_SERVICE : ADDRESS_EXTERNAL }
  }

  private static func isOurs(_ entry: address_entry) -> Bool {
    entry.kind == ADDRESS_SERVICE.rawValue || entry.kind == ADDRESS_EXTERNAL.rawValue
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
      if Self.isOurs(entry) { found.insert(IPAddress(key)) }
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
        problems.append(ServiceProblem("address \(address)", .map(error)))
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
    if let existing, !Self.isOurs(existing) { return }
    guard let kind = kind(of: address) else {
      if existing != nil { try addresses.remove(key) }
      return
    }
    if existing?.kind != kind.rawValue { try addresses.set(key, address_entry(kind: kind.rawValue, index: 0)) }
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
