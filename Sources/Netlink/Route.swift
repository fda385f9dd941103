import MartletNetworking

/// A route: where packets to a range of addresses go.
///
/// ```swift
/// try netlink.replaceRoute(Route(to: podPrefix, through: [NextHop(interface: tunnel)], mtu: 1450))
/// try netlink.replaceRoute(Route(to: dropped, action: .blackhole))
/// ```
public struct Route: Hashable, Sendable {
  /// The addresses that it is for.
  public var destination: IPPrefix
  /// What happens to their packets.
  public var action: Action
  /// The ways to choose from: none unless ``action`` is to forward or deliver; several for a multipath route.
  public var nextHops: [NextHop]
  /// The table that it is in; for an answer to a lookup, where it was found.
  public var table: RoutingTable
  /// Of several routes to one destination the one with the lowest metric is used. The kernel reads 0 as 1024 for IPv6.
  public var metric: UInt32
  /// The source address of packets that the host itself sends, if they have none yet.
  public var preferredSource: IPAddress?
  /// The largest packet in bytes, if that is smaller than the interface's.
  public var mtu: Int?
  /// Who made it.
  public var origin: Origin
  /// How far the destination is: ``InterfaceAddress/Scope-swift.struct/link`` for a direct route. IPv4 only.
  public var scope: InterfaceAddress.Scope

  /// A route to `destination`. The scope follows from the next hops unless it is given.
  public init(
    to destination: IPPrefix, action: Action = .unicast, through nextHops: [NextHop] = [],
    table: RoutingTable = .main, metric: UInt32 = 0, preferredSource: IPAddress? = nil, mtu: Int? = nil,
    origin: Origin = .static, scope: InterfaceAddress.Scope? = nil
  ) {
    self.destination = destination
    self.action = action
    self.nextHops = nextHops
    self.table = table
    self.metric = metric
    self.preferredSource = preferredSource
    self.mtu = mtu
    self.origin = origin
    self.scope = scope ?? Self.scope(action, nextHops)
  }

  /// The interface of the first next hop, which is the only one unless the route is multipath.
  public var interface: InterfaceIndex? { nextHops.first?.interface }
  /// The gateway of the first next hop; `nil` if the destination is on the link.
  public var gateway: IPAddress? { nextHops.first?.gateway }
  /// Whether it is for every address of its family.
  public var isDefault: Bool { destination.length == 0 }

  /// What the kernel wants to see: a gateway must be nearer than what it leads to.
  private static func scope(_ action: Action, _ nextHops: [NextHop]) -> InterfaceAddress.Scope {
    switch action {
    case .local: .host
    case .unicast where nextHops.allSatisfy({ $0.gateway == nil }): .link
    default: .universe
    }
  }

  /// What happens to a packet that takes the route (`RTN_…`).
  public struct Action: RawRepresentable, Hashable, Sendable {
    /// The kernel's number.
    public let rawValue: UInt8
    /// The given number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// It is sent to a gateway, or to the destination itself.
    public static let unicast = Action(rawValue: 1)
    /// It is for this host.
    public static let local = Action(rawValue: 2)
    /// It is for every host of the link.
    public static let broadcast = Action(rawValue: 3)
    /// It is for this host, one of several with the address.
    public static let anycast = Action(rawValue: 4)
    /// It is for a group.
    public static let multicast = Action(rawValue: 5)
    /// It is dropped without a word.
    public static let blackhole = Action(rawValue: 6)
    /// It is dropped, and the sender told that the host is unreachable.
    public static let unreachable = Action(rawValue: 7)
    /// It is dropped, and the sender told that this is forbidden.
    public static let prohibit = Action(rawValue: 8)
    /// The lookup goes on with the next rule.
    public static let `throw` = Action(rawValue: 9)
  }

  /// Who made a route (`RTPROT_…`). Numbers from 5 on are for routing daemons to choose.
  public struct Origin: RawRepresentable, Hashable, Sendable {
    /// The kernel's number.
    public let rawValue: UInt8
    /// The given number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Nobody said: in a request to delete, anybody.
    public static let unspecified = Origin(rawValue: 0)
    /// The kernel, for an address of an interface.
    public static let kernel = Origin(rawValue: 2)
    /// `ip route` unless it is told otherwise.
    public static let boot = Origin(rawValue: 3)
    /// An administrator.
    public static let `static` = Origin(rawValue: 4)
    /// An IPv6 router's advertisement.
    public static let routerAdvertisement = Origin(rawValue: 9)
    /// A DHCP client.
    public static let dhcp = Origin(rawValue: 16)
  }
}

extension Route: CustomStringConvertible {
  /// As `ip route` would name it, with what tells it from others: `10.0.0.0/8 metric 100`.
  public var description: String {
    var text = "\(destination)"
    for hop in nextHops { text += " \(hop)" }
    if table != .main { text += " table \(table)" }
    if metric != 0 { text += " metric \(metric)" }
    return text
  }
}
