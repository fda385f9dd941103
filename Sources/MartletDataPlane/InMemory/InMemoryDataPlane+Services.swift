import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// From a frontend to one of its backends, as in `CBPF/datapath/service.h` and `affinity.h`.
extension InMemoryDataPlane {
  /// Chooses a backend for the flow that `tuple` opens, and remembers it where the service has affinity.
  func chooseBackend(for tuple: FlowTuple, client: ServiceClient, knownAs name: ip_address) -> ServiceResult {
    guard let frontend = tables.frontend(tuple) else { return .none }
    let slice = client.slice(of: frontend)
    if frontend.has(FRONTEND_SOURCE_RANGES), !tables.admits(tuple.source, to: frontend.service) {
      return .dropped(.sourceRange)
    }
    guard slice.count > 0 else {
      return frontend.has(FRONTEND_HAS_ENDPOINTS) ? .dropped(.noLocalBackend) : .refused
    }
    let index = recall(frontend, slice, name) ?? pick(frontend, slice, tuple)
    let entry = tables.backends.read(Int(index))
    if frontend.affinity_timeout > 0 { remember(frontend, name, entry) }
    return .chosen(
      ServiceChoice(
        frontend: frontend, backend: Backend(entry),
        candidates: slice.indices.map { Backend(tables.backends.read($0)) }))
  }

  private func pick(_ frontend: frontend, _ slice: backend_slice, _ tuple: FlowTuple) -> UInt32 {
    guard frontend.has(FRONTEND_MAGLEV), frontend.maglev.count > 0, slice.offset == frontend.cluster.offset,
      slice.count == frontend.cluster.count
    else { return slice.offset + Self.share(of: slice.count, UInt32(truncatingIfNeeded: random.next() >> 32)) }
    let entry = frontend.maglev.offset + Self.share(of: frontend.maglev.count, tuple.maglevHash)
    return tables.maglev.read(Int(entry))
  }

  /// The upper half of the product is uniform over the slice.
  private static func share(of count: UInt32, _ number: UInt32) -> UInt32 {
    UInt32((UInt64(number) * UInt64(count)) >> 32)
  }

  // MARK: - Affinity

  /// Where the client's last connection went, if that is recent and still in the slice.
  private func recall(_ frontend: frontend, _ slice: backend_slice, _ client: ip_address) -> UInt32? {
    guard frontend.affinity_timeout > 0, let last = tables.affinity(affinity_key(frontend, client)),
      nanoseconds - last.last_used <= UInt64(frontend.affinity_timeout) * 1_000_000_000
    else { return nil }
    let isSame = { (entry: backend) in
      (entry.flags ^ last.flags) & UInt16(BACKEND_LOCAL.rawValue) == 0 && entry.port == last.port
        && IPAddress(entry.address) == IPAddress(last.address)
    }
    return slice.indices.first { isSame(tables.backends.read($0)) }.map { UInt32($0) }
  }

  private func remember(_ frontend: frontend, _ client: ip_address, _ entry: backend) {
    tables.remember(
      affinity_key(frontend, client),
      affinity(
        address: entry.address, port: entry.port, flags: entry.flags, reserved: 0, last_used: nanoseconds))
  }

  private var nanoseconds: UInt64 { UInt64(now / .nanoseconds(1)) }
}

/// What became of the search for a backend.
enum ServiceResult {
  /// No frontend is at this address and port.
  case none
  case chosen(ServiceChoice)
  /// No endpoint anywhere.
  case refused
  case dropped(DropReason)
}

/// A backend, and those that could have been chosen instead.
struct ServiceChoice {
  let frontend: frontend
  let backend: Backend
  let candidates: [Backend]

  func has(_ flag: frontend_flag) -> Bool { frontend.has(flag) }
}

/// Whom a backend is chosen for.
enum ServiceClient {
  case ofNode, outside, tunnelled

  init(_ origin: PacketOrigin) {
    switch origin {
    case .pod, .host: self = .ofNode
    case .network: self = .outside
    case .tunnel: self = .tunnelled
    }
  }

  /// What the service's traffic policies leave to such a client.
  func slice(of frontend: frontend) -> backend_slice {
    let isLocal =
      self == .tunnelled || frontend.has(FRONTEND_INTERNAL_LOCAL)
      || (self == .outside && frontend.has(FRONTEND_EXTERNAL_LOCAL))
    return isLocal ? frontend.local : frontend.cluster
  }
}

extension frontend {
  func has(_ flag: frontend_flag) -> Bool { flags & flag.rawValue != 0 }
}

extension backend_slice {
  var indices: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
}

extension affinity_key {
  init(_ frontend: frontend, _ client: ip_address) {
    self.init(client: client, service: frontend.service, reserved: 0)
  }
}

extension ip_address {
  /// A client of this node as affinity knows it: `client_behind()` in `CBPF/datapath/affinity.h`.
  static func client(behind interface: InterfaceIndex, _ family: AddressFamily) -> ip_address {
    ip_address(
      high: UInt64(0xff00_0000_0000_0000).bigEndian,
      low: (family == .ipv4 ? 1 << 32 : 0) | UInt64(interface.rawValue))
  }
}
