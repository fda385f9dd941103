/// What implements a link: the name of its driver as in `ip link add … type KIND`.
public struct LinkKind: RawRepresentable, Hashable, Sendable {
  /// The kernel's name, `IFLA_INFO_KIND`.
  public let rawValue: String

  /// The kernel's name as a kind.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// One end of a virtual Ethernet cable.
  public static let veth = LinkKind(rawValue: "veth")
  /// A VXLAN tunnel.
  public static let vxlan = LinkKind(rawValue: "vxlan")
  /// A software switch.
  public static let bridge = LinkKind(rawValue: "bridge")
  /// A link that swallows what is sent to it.
  public static let dummy = LinkKind(rawValue: "dummy")
  /// Several links as one.
  public static let bond = LinkKind(rawValue: "bond")
  /// A VLAN of another link.
  public static let vlan = LinkKind(rawValue: "vlan")
  /// A virtual routing and forwarding domain.
  public static let vrf = LinkKind(rawValue: "vrf")
  /// An encrypted tunnel.
  public static let wireGuard = LinkKind(rawValue: "wireguard")
  /// A tunnel of IPv4 in IPv4.
  public static let ipip = LinkKind(rawValue: "ipip")
  /// A device whose other side is a program.
  public static let tun = LinkKind(rawValue: "tun")
}

extension LinkKind: CustomStringConvertible {
  /// The kernel's name.
  public var description: String { rawValue }
}
