import MartletNetworking

/// One of the ways that a ``Route`` offers.
public struct NextHop: Hashable, Sendable {
  /// The interface that packets leave through. May be left out of a request that has a gateway.
  public var interface: InterfaceIndex?
  /// The router that packets are sent to; `nil` if the destination is on the link. An IPv6 gateway for an IPv4
  /// destination needs Linux 5.2.
  public var gateway: IPAddress?
  /// The share of packets that go this way, against the other hops' weights: 1 to 256.
  public var weight: Int
  /// Its state.
  public var flags: Flags

  /// A way through `interface`, by `gateway`, or both.
  public init(interface: InterfaceIndex? = nil, gateway: IPAddress? = nil, weight: Int = 1, flags: Flags = []) {
    self.interface = interface
    self.gateway = gateway
    self.weight = weight
    self.flags = flags
  }

  /// The bits of `rtnh_flags`.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits, as the kernel has them.
    public let rawValue: UInt8
    /// The given bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Not usable: the interface is down (`RTNH_F_DEAD`).
    public static let dead = Flags(rawValue: 1 << 0)
    /// The gateway is on the link even if no address of the interface says so (`RTNH_F_ONLINK`).
    public static let onLink = Flags(rawValue: 1 << 2)
    /// The interface has no carrier (`RTNH_F_LINKDOWN`).
    public static let linkDown = Flags(rawValue: 1 << 4)
  }
}

extension NextHop: CustomStringConvertible {
  /// As `ip route` writes it: `via GATEWAY dev INDEX`.
  public var description: String {
    [gateway.map { "via \($0)" }, interface.map { "dev \($0)" }].compactMap(\.self).joined(separator: " ")
  }
}
