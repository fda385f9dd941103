import BPF
import CBPF
import MartletNetworking

@testable import MartletServices

/// Who asks.
struct Client: Hashable {
  let address: IPAddress
  /// A pod of this node, or the node itself.
  let isOnThisNode: Bool
}

/// What becomes of a new connection.
enum Answer: Hashable {
  /// The address is no service's: the packet goes on as it is.
  case notService
  case refused
  case dropped
  /// To one of these.
  case balanced(Set<Backend>, affinity: UInt32, directReturn: Bool)
}

/// All tables, in memory.
struct MemoryTables {
  let frontends: MemoryMap<frontend_key, frontend>
  let backends: MemoryArray<backend>
  let maglev: MemoryArray<UInt32>
  let sourceRanges: MemoryMap<source_range_key, UInt32>
  let affinity = MemoryMap<affinity_key, affinity>(.lruHash, name: "affinity", capacity: 1024)
  let addresses = MemoryMap<ip_address, address_entry>(name: "addresses", capacity: 65_536)
  let prefixes = MemoryMap<ip_prefix, prefix_entry>(.lpmTrie, name: "prefixes", capacity: 64)

  init(frontends: Int = 65_536, backends: Int = 8192, maglev: Int = 8192, sourceRanges: Int = 1024) {
    self.frontends = MemoryMap(name: "frontends", capacity: frontends)
    self.backends = MemoryArray(count: backends)
    self.maglev = MemoryArray(count: maglev)
    self.sourceRanges = MemoryMap(.lpmTrie, name: "source_ranges", capacity: sourceRanges)
  }

  var maps: ServiceMaps {
    ServiceMaps(
      frontends: frontends, backends: backends, maglev: maglev, sourceRanges: sourceRanges, affinity: affinity,
      addresses: addresses, prefixes: prefixes)
  }
}

/// What the data path does with the first packet of a connection, told from the tables.
extension ServiceMaps {
  func answer(to client: Client, at key: FrontendKey) throws -> Answer {
    guard let frontend = try frontends.get(key.key) else { return try answerWithoutFrontend(at: key.address) }
    if frontend.has(FRONTEND_SOURCE_RANGES) {
      let range = source_range_key(service: frontend.service, prefix: IPPrefix(client.address))
      if try sourceRanges.get(range) != (client.address.isIPv4 ? 4 : 6) { return .dropped }
    }
    return resolve(frontend, for: client)
  }

  /// What a program does with a frontend that it has read, perhaps a while ago.
  func resolve(_ frontend: frontend, for client: Client) -> Answer {
    let isLocal =
      frontend.has(FRONTEND_INTERNAL_LOCAL) || (frontend.has(FRONTEND_EXTERNAL_LOCAL) && !client.isOnThisNode)
    let slice = isLocal ? frontend.local : frontend.cluster
    guard slice.count > 0 else { return frontend.has(FRONTEND_HAS_ENDPOINTS) ? .dropped : .refused }
    let indexes =
      frontend.has(FRONTEND_MAGLEV) && !isLocal
      ? entries(of: frontend.maglev).map { Int(maglev.read($0)) } : Array(entries(of: slice))
    return .balanced(
      Set(indexes.map { Backend(backends.read($0)) }), affinity: frontend.affinity_timeout,
      directReturn: frontend.has(FRONTEND_DSR))
  }

  private func answerWithoutFrontend(at address: IPAddress) throws -> Answer {
    if try addresses.get(ip_address(address))?.kind == ADDRESS_SERVICE.rawValue { return .refused }
    let prefix = try prefixes.get(ip_prefix(IPPrefix(address)))
    return prefix.map { $0.flags & PREFIX_SERVICE.rawValue != 0 } ?? false ? .dropped : .notService
  }

  private func entries(of slice: backend_slice) -> Range<Int> {
    Int(slice.offset)..<Int(slice.offset + slice.count)
  }
}

extension frontend {
  func has(_ flag: frontend_flag) -> Bool { flags & flag.rawValue != 0 }
}
