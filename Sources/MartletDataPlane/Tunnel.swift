import MartletNetworking
import Netlink

/// The VXLAN device by which packets reach pods on other nodes as their senders wrote them.
///
/// One device serves all nodes: the datapath names the receiver for each packet. It stays when the agent ends, as the
/// programs do, and goes with ``remove(_:)``.
struct Tunnel {
  static let name = "martlet"
  /// The UDP port. As in `CBPF/datapath/tunnel.h`.
  static let port: UInt16 = 14_789
  /// The UDP port of VXLAN, as others use it (IANA).
  static let standardPort: UInt16 = 4_789
  /// The same on every node; as in `CBPF/datapath/tunnel.h`.
  static let macAddress = MACAddress(bytes: [0x02, 0x6d, 0x61, 0x72, 0x74, 0x01])

  let interface: InterfaceIndex

  /// Finds the device, or makes it. `mtu` is that of the network below.
  init(_ netlink: NetlinkSocket, mtu: Int) throws(NetlinkError) {
    let existing = try netlink.link(named: Self.name)
    let link = if let existing { existing } else { try Self.create(netlink, mtu: mtu) }
    if link.mtu != Self.innerMTU(mtu, .ipv4) { try netlink.setMTU(Self.innerMTU(mtu, .ipv4), of: link.index) }
    if !link.isUp { try netlink.setUp(link.index) }
    interface = link.index
  }

  private static func create(_ netlink: NetlinkSocket, mtu: Int) throws(NetlinkError) -> NetworkLink {
    var specification = LinkSpecification.vxlan(
      name, VXLAN(.external, port: port), mtu: innerMTU(mtu, .ipv4), isUp: true)
    specification.macAddress = macAddress
    return try netlink.createLink(specification)
  }

  /// The most that a packet in the tunnel may have, from its network header on: Ethernet, VXLAN (8), UDP (8) and the
  /// outer network header are added.
  static func innerMTU(_ outer: Int, _ family: AddressFamily) -> Int {
    outer - 14 - 8 - 8 - (family == .ipv4 ? 20 : 40)
  }

  /// Removes the device if there is one, and no other that happens to have its name.
  static func remove(_ netlink: NetlinkSocket) throws(NetlinkError) {
    if let link = try netlink.link(named: name), link.vxlan?.port == port { try netlink.deleteLink(link.index) }
  }
}
