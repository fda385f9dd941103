import MartletNetworking

/// A network interface as the kernel describes it.
public struct NetworkLink: Hashable, Sendable, Identifiable {
  /// Its number in this network namespace.
  public var index: InterfaceIndex
  /// Its name, at most 15 bytes.
  public var name: String
  /// What implements it; `nil` for hardware and for `lo`.
  public var kind: LinkKind?
  /// Its hardware address, if that is an Ethernet address.
  public var macAddress: MACAddress?
  /// The largest packet it carries, in bytes, link-layer header not included.
  public var mtu: Int
  /// What it is and in which state.
  public var flags: Flags
  /// RFC 2863's view of its state.
  public var operationalState: OperationalState
  /// The bridge, bond or VRF that it is a port of.
  public var master: InterfaceIndex?
  /// What it is attached to: the other end of a veth pair, the link below a VLAN or tunnel.
  ///
  /// When ``linkedNamespace`` is set, the number is that of another network namespace and names nothing in this one.
  public var linked: InterfaceIndex?
  /// The namespace that ``linked`` counts in, as an identifier local to this one; `nil` if it is this one.
  public var linkedNamespace: Int32?
  /// The tunnel's settings, if ``kind`` is ``LinkKind/vxlan``.
  public var vxlan: VXLAN?

  /// ``index``.
  public var id: InterfaceIndex { index }
  /// Whether it is administratively up (`IFF_UP`).
  public var isUp: Bool { flags.contains(.up) }
  /// Whether packets can pass: it is up and its operational state allows it (`IFF_RUNNING`).
  public var isRunning: Bool { flags.contains(.running) }
  /// Whether it is the loopback interface.
  public var isLoopback: Bool { flags.contains(.loopback) }

  /// The bits of `ifi_flags`, described in netdevice(7).
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits, as the kernel has them.
    public let rawValue: UInt32
    /// The given bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Administratively up (`IFF_UP`).
    public static let up = Flags(rawValue: 1 << 0)
    /// Has a broadcast address (`IFF_BROADCAST`).
    public static let broadcast = Flags(rawValue: 1 << 1)
    /// The loopback interface (`IFF_LOOPBACK`).
    public static let loopback = Flags(rawValue: 1 << 3)
    /// Has one peer and no neighbours (`IFF_POINTOPOINT`).
    public static let pointToPoint = Flags(rawValue: 1 << 4)
    /// Operational (`IFF_RUNNING`).
    public static let running = Flags(rawValue: 1 << 6)
    /// Does not resolve neighbours (`IFF_NOARP`).
    public static let noARP = Flags(rawValue: 1 << 7)
    /// Receives what is addressed to others (`IFF_PROMISC`).
    public static let promiscuous = Flags(rawValue: 1 << 8)
    /// Takes part in multicast (`IFF_MULTICAST`).
    public static let multicast = Flags(rawValue: 1 << 12)
    /// The driver has a carrier (`IFF_LOWER_UP`).
    public static let lowerUp = Flags(rawValue: 1 << 16)
  }

  /// RFC 2863's operational state, `IFLA_OPERSTATE`.
  public enum OperationalState: UInt8, Sendable {
    /// The driver does not say; such links work when they are up.
    case unknown = 0
    /// A part is missing.
    case notPresent = 1
    /// Cannot pass packets.
    case down = 2
    /// The link below cannot pass packets.
    case lowerLayerDown = 3
    /// Under test.
    case testing = 4
    /// Waits for an event outside, such as authentication.
    case dormant = 5
    /// Passes packets.
    case up = 6
  }
}

/// `IFLA_…` (`linux/if_link.h`), shared by what reads and what writes links.
enum LinkAttribute {
  static let address: UInt16 = 1
  static let name: UInt16 = 3  // IFLA_IFNAME
  static let mtu: UInt16 = 4
  static let link: UInt16 = 5
  static let master: UInt16 = 10
  static let operationalState: UInt16 = 16
  static let information: UInt16 = 18  // IFLA_LINKINFO
  static let namespaceDescriptor: UInt16 = 28  // IFLA_NET_NS_FD
  static let extendedMask: UInt16 = 29  // IFLA_EXT_MASK
  static let linkNamespace: UInt16 = 37  // IFLA_LINK_NETNSID
  static let alternativeName: UInt16 = 53  // IFLA_ALT_IFNAME

  static let informationKind: UInt16 = 1  // IFLA_INFO_KIND
  static let informationData: UInt16 = 2  // IFLA_INFO_DATA
}

/// `struct ifinfomsg` (`linux/rtnetlink.h`).
struct LinkHeader {
  static let size = 16

  var index: InterfaceIndex?
  var flags: NetworkLink.Flags = []
  /// The flags to set as `flags` says; others stay as they are.
  var changed: NetworkLink.Flags = []

  func encode(into request: inout MessageBuilder) {
    request.append(UInt32(0))  // AF_UNSPEC, padding, device type
    request.append(index?.rawValue ?? 0)
    request.append(flags.rawValue)
    request.append(changed.rawValue)
  }
}

extension NetworkLink {
  /// The link that a message describes; `nil` if it describes something else.
  init?(_ message: Message) {
    // A bridge sends link messages of its own family about its ports; one of them looks like the port's removal.
    guard message.payload.load(UInt8.self) == 0,
      let index = message.payload.load(UInt32.self, at: 4),
      let flags = message.payload.load(UInt32.self, at: 8)
    else { return nil }
    self.init(
      index: InterfaceIndex(index), name: "", mtu: 0, flags: Flags(rawValue: flags), operationalState: .unknown)
    for attribute in message.attributes(after: LinkHeader.size) { read(attribute) }
    if name.isEmpty { return nil }
  }

  private mutating func read(_ attribute: Attributes.Element) {
    switch attribute.type {
    case LinkAttribute.name: name = attribute.text
    case LinkAttribute.address: macAddress = MACAddress(bytes: attribute.value)
    case LinkAttribute.mtu: mtu = Int(attribute.uint32 ?? 0)
    case LinkAttribute.master: master = InterfaceIndex(wire: attribute.uint32)
    case LinkAttribute.link: linked = InterfaceIndex(wire: attribute.uint32)
    case LinkAttribute.linkNamespace: linkedNamespace = attribute.value.load(Int32.self)
    case LinkAttribute.operationalState:
      operationalState = attribute.uint8.flatMap(OperationalState.init) ?? .unknown
    case LinkAttribute.information: readInformation(attribute.nested)
    default: break
    }
  }

  private mutating func readInformation(_ attributes: Attributes) {
    for attribute in attributes {
      switch attribute.type {
      case LinkAttribute.informationKind: kind = LinkKind(rawValue: attribute.text)
      case LinkAttribute.informationData where kind == .vxlan: vxlan = VXLAN(attribute.nested)
      default: break
      }
    }
  }
}
