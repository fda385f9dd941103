import MartletNetworking

/// An address of an interface.
public struct InterfaceAddress: Hashable, Sendable {
  /// The interface that has the address.
  public var interface: InterfaceIndex
  /// The address itself.
  public var address: IPAddress
  /// Leading bits that the address shares with its neighbours: 0 to 32 or 128.
  public var prefixLength: Int
  /// The other end's address, on a point-to-point interface that has one.
  public var peer: IPAddress?
  /// Where the address is valid.
  public var scope: Scope
  /// Its state and how it came about.
  public var flags: Flags

  /// An address of `interface`.
  public init(
    _ address: IPAddress, prefixLength: Int, interface: InterfaceIndex, peer: IPAddress? = nil,
    scope: Scope = .universe, flags: Flags = []
  ) {
    self.interface = interface
    self.address = address
    self.prefixLength = prefixLength
    self.peer = peer
    self.scope = scope
    self.flags = flags
  }

  /// The range that the interface reaches directly: that of the peer, if there is one.
  public var network: IPPrefix { IPPrefix(peer ?? address, length: prefixLength) }

  /// How far from the host something is valid or reachable; a smaller number is farther (`RT_SCOPE_…`).
  public struct Scope: RawRepresentable, Hashable, Sendable {
    /// The kernel's number.
    public let rawValue: UInt8
    /// The given number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Everywhere ("global").
    public static let universe = Scope(rawValue: 0)
    /// Within the site.
    public static let site = Scope(rawValue: 200)
    /// On the link.
    public static let link = Scope(rawValue: 253)
    /// On this host.
    public static let host = Scope(rawValue: 254)
    /// Nowhere: in a request to delete a route, any scope.
    public static let nowhere = Scope(rawValue: 255)
  }

  /// The bits of `IFA_FLAGS`.
  public struct Flags: OptionSet, Hashable, Sendable {
    /// The bits, as the kernel has them.
    public let rawValue: UInt32
    /// The given bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// IPv4: not the first of its network. IPv6: a temporary address (`IFA_F_SECONDARY`).
    public static let secondary = Flags(rawValue: 0x01)
    /// IPv6: usable without duplicate address detection (`IFA_F_NODAD`).
    public static let noDAD = Flags(rawValue: 0x02)
    /// IPv6: somebody else has it (`IFA_F_DADFAILED`).
    public static let duplicate = Flags(rawValue: 0x08)
    /// Not for new connections (`IFA_F_DEPRECATED`).
    public static let deprecated = Flags(rawValue: 0x20)
    /// IPv6: duplicate address detection is under way; not usable yet (`IFA_F_TENTATIVE`).
    public static let tentative = Flags(rawValue: 0x40)
    /// Without a lifetime (`IFA_F_PERMANENT`).
    public static let permanent = Flags(rawValue: 0x80)
    /// The kernel adds no route to its network (`IFA_F_NOPREFIXROUTE`).
    public static let noPrefixRoute = Flags(rawValue: 0x200)
  }
}

extension InterfaceAddress: CustomStringConvertible {
  /// `ADDRESS/LENGTH`.
  public var description: String { "\(address)/\(prefixLength)" }
}

/// `IFA_…` (`linux/if_addr.h`).
private enum AddressAttribute {
  static let address: UInt16 = 1  // of the network; on a point-to-point link the peer's
  static let local: UInt16 = 2
  static let flags: UInt16 = 8
}

/// `struct ifaddrmsg` (`linux/if_addr.h`).
private let addressHeaderSize = 8

extension InterfaceAddress {
  /// The address that a message describes; `nil` for a family that this module does not know.
  init?(_ message: Message) {
    let payload = message.payload
    guard payload.load(UInt8.self).flatMap(AddressFamily.init(wire:)) != nil,
      let length = payload.load(UInt8.self, at: 1), let flags = payload.load(UInt8.self, at: 2),
      let scope = payload.load(UInt8.self, at: 3), let index = payload.load(UInt32.self, at: 4)
    else { return nil }
    var network: IPAddress?
    var local: IPAddress?
    var allFlags = UInt32(flags)
    for attribute in message.attributes(after: addressHeaderSize) {
      switch attribute.type {
      case AddressAttribute.address: network = IPAddress(bytes: attribute.value)
      case AddressAttribute.local: local = IPAddress(bytes: attribute.value)
      case AddressAttribute.flags: allFlags = attribute.uint32 ?? allFlags
      default: break
      }
    }
    guard let address = local ?? network, Int(length) <= address.family.bitWidth else { return nil }
    self.init(
      address, prefixLength: Int(length), interface: InterfaceIndex(index), peer: network == address ? nil : network,
      scope: Scope(rawValue: scope), flags: Flags(rawValue: allFlags))
  }

  func encode(into request: inout MessageBuilder) {
    Self.encodeHeader(
      family: address.family, prefixLength: UInt8(prefixLength), scope: scope, interface: interface, into: &request)
    request.attribute(AddressAttribute.local, bytes: address.bytes)
    request.attribute(AddressAttribute.address, bytes: (peer ?? address).bytes)
    if flags.rawValue != 0 { request.attribute(AddressAttribute.flags, flags.rawValue) }
  }

  static func encodeHeader(
    family: AddressFamily?, prefixLength: UInt8 = 0, scope: Scope = .universe, interface: InterfaceIndex?,
    into request: inout MessageBuilder
  ) {
    request.append(family.wire)
    request.append(prefixLength)
    request.append(UInt8(0))  // flags, which the attribute gives in full
    request.append(scope.rawValue)
    request.append(interface?.rawValue ?? 0)
  }
}
