import MartletNetworking

/// What the kernel knows about an address on a link: an entry of the ARP or neighbour discovery table.
public struct Neighbour: Hashable, Sendable {
  /// The link.
  public var interface: InterfaceIndex
  /// The address.
  public var address: IPAddress
  /// The hardware address that it resolves to; `nil` while that is unknown.
  public var macAddress: MACAddress?
  /// How sure the kernel is.
  public var state: State

  /// An entry for `address` on `interface`.
  public init(
    _ address: IPAddress, interface: InterfaceIndex, macAddress: MACAddress?, state: State = .permanent
  ) {
    self.interface = interface
    self.address = address
    self.macAddress = macAddress
    self.state = state
  }

  /// Whether packets can be sent to ``macAddress`` (`NUD_VALID`).
  public var isUsable: Bool {
    macAddress != nil && !state.isDisjoint(with: [.permanent, .noARP, .reachable, .stale, .delay, .probe])
  }

  /// The bits of `ndm_state`.
  public struct State: OptionSet, Hashable, Sendable {
    /// The bits, as the kernel has them.
    public let rawValue: UInt16
    /// The given bits.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Asked for, not answered (`NUD_INCOMPLETE`).
    public static let incomplete = State(rawValue: 0x01)
    /// Confirmed lately (`NUD_REACHABLE`).
    public static let reachable = State(rawValue: 0x02)
    /// Usable, but to be confirmed (`NUD_STALE`).
    public static let stale = State(rawValue: 0x04)
    /// Used and about to be confirmed (`NUD_DELAY`).
    public static let delay = State(rawValue: 0x08)
    /// Being confirmed (`NUD_PROBE`).
    public static let probe = State(rawValue: 0x10)
    /// Nobody answered (`NUD_FAILED`).
    public static let failed = State(rawValue: 0x20)
    /// Needs no resolution (`NUD_NOARP`).
    public static let noARP = State(rawValue: 0x40)
    /// Set by an administrator, for good (`NUD_PERMANENT`).
    public static let permanent = State(rawValue: 0x80)
  }
}

/// `NDA_…` (`linux/neighbour.h`).
private enum NeighbourAttribute {
  static let destination: UInt16 = 1
  static let linkLayerAddress: UInt16 = 2
  static let interface: UInt16 = 8
}

/// `struct ndmsg` (`linux/neighbour.h`).
private let neighbourHeaderSize = 12

extension Neighbour {
  /// The entry that a message describes; `nil` for a bridge's table of hardware addresses.
  init?(_ message: Message) {
    let payload = message.payload
    guard payload.load(UInt8.self).flatMap(AddressFamily.init(wire:)) != nil,
      let index = payload.load(UInt32.self, at: 4), let state = payload.load(UInt16.self, at: 8)
    else { return nil }
    var address: IPAddress?
    var macAddress: MACAddress?
    for attribute in message.attributes(after: neighbourHeaderSize) {
      switch attribute.type {
      case NeighbourAttribute.destination: address = IPAddress(bytes: attribute.value)
      case NeighbourAttribute.linkLayerAddress: macAddress = MACAddress(bytes: attribute.value)
      default: break
      }
    }
    guard let address else { return nil }
    self.init(
      address, interface: InterfaceIndex(index), macAddress: macAddress, state: State(rawValue: state))
  }

  func encode(into request: inout MessageBuilder) {
    Self.encodeHeader(family: address.family, interface: interface, state: state, into: &request)
    request.attribute(NeighbourAttribute.destination, bytes: address.bytes)
    if let macAddress { request.attribute(NeighbourAttribute.linkLayerAddress, bytes: macAddress.bytes) }
  }

  private static func encodeHeader(
    family: AddressFamily?, interface: InterfaceIndex? = nil, state: State = [], into request: inout MessageBuilder
  ) {
    request.append(family.wire)
    request.append(UInt8(0))  // padding
    request.append(UInt16(0))
    request.append(interface?.rawValue ?? 0)
    request.append(state.rawValue)
    request.append(UInt16(0))  // flags, type
  }

  /// Adds the selection of a listing to a request. The header's index must be 0 there.
  fileprivate static func encodeSelection(
    family: AddressFamily?, interface: InterfaceIndex?, into request: inout MessageBuilder
  ) {
    encodeHeader(family: family, into: &request)
    if let interface { request.attribute(NeighbourAttribute.interface, interface.rawValue) }
  }
}

extension NetlinkSocket {
  /// The neighbours on an interface or on all, of one family or of both.
  ///
  /// Corresponds to `RTM_GETNEIGH` as a dump.
  public func neighbours(
    on interface: InterfaceIndex? = nil, family: AddressFamily? = nil
  ) throws(NetlinkError) -> [Neighbour] {
    var request = MessageBuilder(.getNeighbour)
    Neighbour.encodeSelection(family: family, interface: interface, into: &request)
    let object = interface.map { "neighbours on link \($0)" } ?? "neighbours"
    return try dump(request, NetlinkTask("list", object), Neighbour.init)
  }

  /// What the kernel knows about `address` on `interface`, or `nil` if nothing. It does not ask the network.
  ///
  /// Corresponds to `RTM_GETNEIGH`. Needs Linux 5.0.
  public func neighbour(_ address: IPAddress, on interface: InterfaceIndex) throws(NetlinkError) -> Neighbour? {
    let wanted = Neighbour(address, interface: interface, macAddress: nil, state: [])
    let task = NetlinkTask("look up neighbour", "\(address) on link \(interface)")
    var request = MessageBuilder(.getNeighbour)
    wanted.encode(into: &request)
    return try absentIsNil { () throws(NetlinkError) in try get(request, task, Neighbour.init) }
  }

  /// Adds an entry, or replaces the one for the same address on the same interface.
  ///
  /// Corresponds to `RTM_NEWNEIGH` with `NLM_F_CREATE | NLM_F_REPLACE`.
  public func replaceNeighbour(_ neighbour: Neighbour) throws(NetlinkError) {
    try change(.newNeighbour, neighbour, "replace neighbour", flags: [.create, .replace])
  }

  /// Deletes the entry for an address on an interface. Throws `notFound` if there is none. Corresponds to
  /// `RTM_DELNEIGH`.
  public func deleteNeighbour(_ address: IPAddress, on interface: InterfaceIndex) throws(NetlinkError) {
    let neighbour = Neighbour(address, interface: interface, macAddress: nil, state: [])
    try change(.deleteNeighbour, neighbour, "delete neighbour")
  }

  private func change(
    _ type: MessageType, _ neighbour: Neighbour, _ operation: String, flags: MessageFlags = []
  ) throws(NetlinkError) {
    let task = NetlinkTask(operation, "\(neighbour.address) on link \(neighbour.interface)")
    var request = MessageBuilder(type)
    neighbour.encode(into: &request)
    try change(request, flags: flags, task)
  }
}
