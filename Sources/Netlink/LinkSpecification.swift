import MartletNetworking

/// A link to be created.
///
/// ```swift
/// try netlink.createLink(.veth("pod0", peer: "eth0", peerNamespace: pod))
/// try netlink.createLink(.vxlan("martlet0", VXLAN(.external), mtu: 1450))
/// ```
public struct LinkSpecification: Hashable, Sendable {
  /// What implements the link, with the settings that only it has.
  public enum Kind: Hashable, Sendable {
    /// A virtual Ethernet cable; the other end is `peer`, created in `peerNamespace` (an open descriptor of a network
    /// namespace) or, if that is `nil`, in this one.
    case veth(peer: String, peerNamespace: Int32?)
    /// A VXLAN tunnel.
    case vxlan(VXLAN)
    /// A kind that needs no settings: ``LinkKind/dummy``, ``LinkKind/bridge``.
    case simple(LinkKind)
  }

  /// The name of the link: 1 to 15 bytes.
  public var name: String
  /// What implements it.
  public var kind: Kind
  /// The largest packet in bytes, of both ends of a veth pair; `nil` for the driver's choice.
  public var mtu: Int?
  /// The hardware address; `nil` for a random one.
  public var macAddress: MACAddress?
  /// The bridge, bond or VRF that it becomes a port of.
  public var master: InterfaceIndex?
  /// Whether it is set up at once. The peer of a veth stays down.
  public var isUp: Bool

  /// A link of the given kind.
  public init(
    _ name: String, kind: Kind, mtu: Int? = nil, macAddress: MACAddress? = nil, master: InterfaceIndex? = nil,
    isUp: Bool = false
  ) {
    self.name = name
    self.kind = kind
    self.mtu = mtu
    self.macAddress = macAddress
    self.master = master
    self.isUp = isUp
  }

  /// A virtual Ethernet cable from `name` to `peer`.
  public static func veth(
    _ name: String, peer: String, peerNamespace: Int32? = nil, mtu: Int? = nil, isUp: Bool = false
  ) -> LinkSpecification {
    LinkSpecification(name, kind: .veth(peer: peer, peerNamespace: peerNamespace), mtu: mtu, isUp: isUp)
  }

  /// A VXLAN tunnel.
  public static func vxlan(
    _ name: String, _ settings: VXLAN, mtu: Int? = nil, isUp: Bool = false
  ) -> LinkSpecification {
    LinkSpecification(name, kind: .vxlan(settings), mtu: mtu, isUp: isUp)
  }

  /// A link that swallows what is sent to it.
  public static func dummy(_ name: String, isUp: Bool = false) -> LinkSpecification {
    LinkSpecification(name, kind: .simple(.dummy), isUp: isUp)
  }

  /// A software switch.
  public static func bridge(_ name: String, isUp: Bool = false) -> LinkSpecification {
    LinkSpecification(name, kind: .simple(.bridge), isUp: isUp)
  }
}

extension LinkSpecification {
  /// The name of the driver.
  var linkKind: LinkKind {
    switch kind {
    case .veth: .veth
    case .vxlan: .vxlan
    case .simple(let kind): kind
    }
  }

  /// Why the kernel should not be asked for such a link; `nil` if it should.
  var objection: String? {
    if let objection = InterfaceName.objection(to: name) { return objection }
    if let mtu, !(1...Int(Int32.max)).contains(mtu) { return "an MTU is a positive number of bytes, not \(mtu)" }
    switch kind {
    case .veth(let peer, _):
      return InterfaceName.objection(to: peer)
    case .vxlan(let settings):
      if case .fixed(let number) = settings.identifier, number >> 24 != 0 {
        return "a VXLAN identifier has 24 bits, \(number) has more"
      }
      return nil
    case .simple:
      return nil
    }
  }

  func encode(into request: inout MessageBuilder) {
    LinkHeader(flags: isUp ? .up : [], changed: isUp ? .up : []).encode(into: &request)
    request.attribute(LinkAttribute.name, string: name)
    if let mtu { request.attribute(LinkAttribute.mtu, UInt32(mtu)) }
    if let macAddress { request.attribute(LinkAttribute.address, bytes: macAddress.bytes) }
    if let master { request.attribute(LinkAttribute.master, master.rawValue) }
    request.nested(LinkAttribute.information) { information in
      information.attribute(LinkAttribute.informationKind, string: linkKind.rawValue)
      encodeSettings(into: &information)
    }
  }

  private func encodeSettings(into information: inout MessageBuilder) {
    switch kind {
    case .veth(let peer, let namespace):
      information.nested(LinkAttribute.informationData) { data in
        let peerAttribute: UInt16 = 1  // VETH_INFO_PEER (linux/veth.h)
        data.nested(peerAttribute) { encodePeer(peer, namespace, into: &$0) }
      }
    case .vxlan(let settings):
      information.nested(LinkAttribute.informationData) { settings.encode(into: &$0) }
    case .simple:
      break
    }
  }

  private func encodePeer(_ peer: String, _ namespace: Int32?, into request: inout MessageBuilder) {
    LinkHeader().encode(into: &request)
    request.attribute(LinkAttribute.name, string: peer)
    if let mtu { request.attribute(LinkAttribute.mtu, UInt32(mtu)) }
    if let namespace { request.attribute(LinkAttribute.namespaceDescriptor, namespace) }
  }
}

/// The rules for the name of an interface (`dev_valid_name` in the kernel).
enum InterfaceName {
  /// Bytes of a name (`IFNAMSIZ` less its terminator).
  static let maximumLength = 15

  /// Why `name` cannot be the name of a new interface; `nil` if it can.
  static func objection(to name: String) -> String? {
    if !(1...maximumLength).contains(name.utf8.count) {
      return "an interface name has 1 to \(maximumLength) bytes, '\(name)' has \(name.utf8.count)"
    }
    // The kernel would put a number in place of a percent sign.
    let isForbidden = name == "." || name == ".." || name.utf8.contains { $0 <= 0x20 || "/:%".utf8.contains($0) }
    return isForbidden ? "an interface name has no blanks, '/', ':' or '%' in it, and is not '.' or '..'" : nil
  }
}
