/// A routing table's number.
public struct RoutingTable: RawRepresentable, Hashable, Sendable {
  /// The number, as in `ip route … table NUMBER`.
  public let rawValue: UInt32

  /// The given number.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The table with the given number.
  public init(_ rawValue: UInt32) { self.init(rawValue: rawValue) }

  /// Where routes go unless something else is said (`RT_TABLE_MAIN`).
  public static let main = RoutingTable(254)
  /// The host's own and broadcast addresses, kept by the kernel (`RT_TABLE_LOCAL`).
  public static let local = RoutingTable(255)
  /// Looked up last; empty as a rule (`RT_TABLE_DEFAULT`).
  public static let `default` = RoutingTable(253)
}

extension RoutingTable: CustomStringConvertible {
  /// The number, or `main`, `local`, `default`.
  public var description: String {
    switch self {
    case .main: "main"
    case .local: "local"
    case .default: "default"
    default: "\(rawValue)"
    }
  }
}

extension RoutingTable {
  /// The number for the one byte that headers have for it; the attribute gives it in full.
  var headerByte: UInt8 { UInt8(exactly: rawValue) ?? 0 }
}
