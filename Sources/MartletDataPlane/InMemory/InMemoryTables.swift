import BPF
import CBPF
import MartletNetworking
import MartletServices

/// The datapath's tables in plain memory, under the same layouts.
struct InMemoryTables {
  let frontends = MemoryMap<frontend_key, frontend>(name: "frontends", capacity: 1 << 17)
  let backends = MemoryArray<backend>(count: 1 << 18)
  let maglev = MemoryArray<UInt32>(count: 1 << 20)
  let sourceRanges = MemoryMap<source_range_key, UInt32>(.lpmTrie, name: "source_ranges", capacity: 1 << 16)
  let affinity = MemoryMap<affinity_key, affinity>(.lruHash, name: "affinity", capacity: 1 << 16)
  let revocations = MemoryMap<revocation_key, UInt32>(.lruHash, name: "revocations", capacity: 1 << 15)
  let addresses = MemoryMap<ip_address, address_entry>(name: "addresses", capacity: 1 << 17)
  let prefixes = MemoryMap<ip_prefix, prefix_entry>(.lpmTrie, name: "prefixes", capacity: 1 << 16)
  let nodes = MemoryMap<UInt32, node>(.array, name: "nodes", capacity: 1 << 13)
  let endpoints: MemoryMap<UInt32, endpoint>
  let endpointInterfaces: MemoryMap<UInt32, UInt32>

  init(podCapacity: Int) {
    endpoints = MemoryMap(.array, name: "endpoints", capacity: podCapacity + 1)
    endpointInterfaces = MemoryMap(name: "endpoint_interfaces", capacity: podCapacity + 1)
  }

  var services: ServiceMaps {
    ServiceMaps(
      frontends: frontends, backends: backends, maglev: maglev, sourceRanges: sourceRanges, affinity: affinity,
      addresses: addresses, prefixes: prefixes)
  }
}

/// Look-ups as the datapath makes them. Nobody injects faults into these tables, so none can fail.
extension InMemoryTables {
  func address(_ address: IPAddress) -> address_entry {
    found { () throws(BPFError) in try addresses.get(ip_address(address)) } ?? address_entry(ADDRESS_UNKNOWN)
  }

  func kind(_ address: IPAddress) -> address_kind { address_kind(self.address(address).kind) }

  func prefix(_ address: IPAddress) -> prefix_entry {
    found { () throws(BPFError) in try prefixes.get(ip_prefix(IPPrefix(address))) } ?? prefix_entry(flags: 0, node: 0)
  }

  /// Whether the address is of this node's own pod ranges, and no pod's.
  func isAbsentPod(_ address: IPAddress) -> Bool {
    has(PREFIX_LOCAL_POD, address) && kind(address) == ADDRESS_UNKNOWN
  }

  func has(_ flag: prefix_flag, _ address: IPAddress) -> Bool { prefix(address).flags & flag.rawValue != 0 }

  func frontend(_ tuple: FlowTuple) -> frontend? {
    guard tuple.protocol.hasPorts else { return nil }
    let key = FrontendKey(address: tuple.destination, port: tuple.destinationPort, protocol: tuple.protocol).key
    return found { () throws(BPFError) in try frontends.get(key) }
  }

  func admits(_ client: IPAddress, to service: UInt32) -> Bool {
    let key = source_range_key(service: service, prefix: IPPrefix(client))
    return found { () throws(BPFError) in try sourceRanges.get(key) } == (client.isIPv4 ? 4 : 6)
  }

  func endpoint(_ slot: UInt32) -> endpoint? { found { () throws(BPFError) in try endpoints.get(slot) } }

  func node(_ number: UInt32) -> node? { found { () throws(BPFError) in try nodes.get(number) } }

  func affinity(_ key: affinity_key) -> affinity? { found { () throws(BPFError) in try affinity.get(key) } }

  /// Whether a flow that was decided in `generation` of the services rests on what has ended since.
  func isRevoked(_ grounds: [revocation_key], since generation: UInt32) -> Bool {
    grounds.contains { key in
      guard let revoked = found({ () throws(BPFError) in try revocations.get(key) }) else { return false }
      return Int32(bitPattern: revoked &- generation) > 0
    }
  }

  func remember(_ key: affinity_key, _ value: affinity) {
    _ = found { () throws(BPFError) in try affinity.set(key, value) }
  }

  private func found<Value>(_ lookUp: () throws(BPFError) -> Value?) -> Value? {
    do throws(BPFError) {
      return try lookUp()
    } catch {
      preconditionFailure("a table in memory failed: \(error)")
    }
  }
}
