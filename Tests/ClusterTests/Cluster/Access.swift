import MartletNetworking
import Testing

/// How a client gets to a service: by addresses of which family, and where its connections are balanced.
struct Access: Hashable, Sendable, CustomTestStringConvertible {
  enum Balancing: Hashable, Sendable {
    /// Its packets are translated.
    case packets
    /// Its sockets are connected to a backend at once.
    case sockets
  }

  let family: AddressFamily
  let balancing: Balancing

  static let all = AddressFamily.allCases.flatMap { family in
    [Access(family: family, balancing: .packets), Access(family: family, balancing: .sockets)]
  }

  /// By packets, as of a client outside.
  static func packets(_ family: AddressFamily) -> Access { Access(family: family, balancing: .packets) }

  var testDescription: String { "\(family), \(balancing)" }
}
