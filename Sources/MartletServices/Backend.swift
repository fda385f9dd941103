import CBPF
import MartletNetworking

/// Where a service sends a connection: an address and port, and whether it is on this node.
public struct Backend: Hashable, Sendable {
  /// The endpoint's address.
  public let address: IPAddress
  /// The endpoint's port, host order.
  public let port: UInt16
  /// Whether the endpoint is on this node.
  public let isLocal: Bool
  /// The number of the other node that the endpoint is on; 0: this one, or not known.
  public let node: UInt32

  /// A backend at `address`, `port` (host order).
  public init(address: IPAddress, port: UInt16, isLocal: Bool, node: UInt32 = 0) {
    self.address = address
    self.port = port
    self.isLocal = isLocal
    self.node = node
  }

  /// Address and port alone: what makes two endpoints the same.
  var endpoint: Endpoint { Endpoint(address: address, port: port) }

  struct Endpoint: Hashable, Comparable {
    let address: IPAddress
    let port: UInt16

    static func < (left: Endpoint, right: Endpoint) -> Bool {
      (left.address, left.port) < (right.address, right.port)
    }
  }
}

extension Backend: Comparable {
  /// Local backends first, then by address and port.
  ///
  /// The order of a slice in map `backends`, in which the data path finds one by halving. With local ones first, the
  /// local slice of a service is often the beginning of its cluster slice, and the two share their entries.
  public static func < (left: Backend, right: Backend) -> Bool {
    if left.isLocal != right.isLocal { return left.isLocal }
    return left.endpoint < right.endpoint
  }
}

extension Backend: CustomStringConvertible {
  /// `10.0.0.1:8080`, `[fd00::1]:8080 (local)`.
  public var description: String {
    let host = address.isIPv6 ? "[\(address)]" : "\(address)"
    return "\(host):\(port)\(isLocal ? " (local)" : "")"
  }
}

extension Backend {
  /// The backend that an entry of map `backends` stands for.
  public init(_ entry: backend) {
    self.init(
      address: IPAddress(entry.address), port: UInt16(bigEndian: entry.port),
      isLocal: UInt32(entry.flags) & BACKEND_LOCAL.rawValue != 0,
      node: entry.node)
  }

  /// The entry of map `backends` that stands for this backend.
  public var entry: backend {
    backend(
      address: ip_address(address), port: port.bigEndian, flags: UInt16(isLocal ? BACKEND_LOCAL.rawValue : 0),
      node: node)
  }
}
