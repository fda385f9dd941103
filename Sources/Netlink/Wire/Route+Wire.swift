import MartletNetworking

/// `RTA_…` (`linux/rtnetlink.h`).
enum RouteAttribute {
  static let destination: UInt16 = 1
  static let outputInterface: UInt16 = 4
  static let gateway: UInt16 = 5
  static let priority: UInt16 = 6
  static let preferredSource: UInt16 = 7
  static let metrics: UInt16 = 8
  static let multipath: UInt16 = 9
  static let table: UInt16 = 15
  static let via: UInt16 = 18  // a gateway of another family: its number in two bytes, the address

  static let metricMTU: UInt16 = 2  // RTAX_MTU
}

/// `struct rtmsg` (`linux/rtnetlink.h`).
struct RouteHeader {
  static let size = 12

  var family: AddressFamily?
  var destinationLength = 0
  var table: RoutingTable = RoutingTable(0)
  var origin: Route.Origin = .unspecified
  var scope: InterfaceAddress.Scope = .universe
  var action: Route.Action = Route.Action(rawValue: 0)
  var flags: UInt32 = 0

  func encode(into request: inout MessageBuilder) {
    request.append(family.wire)
    request.append(UInt8(destinationLength))
    request.append(UInt16(0))  // source length, type of service
    request.append(table.headerByte)
    request.append(origin.rawValue)
    request.append(scope.rawValue)
    request.append(action.rawValue)
    request.append(flags)
  }

  /// The header of a message, with the flags that it has in common with a next hop; `nil` for a family that this module
  /// does not know.
  init?(_ payload: ArraySlice<UInt8>) {
    guard payload.count >= Self.size, let family = payload.load(UInt8.self).flatMap(AddressFamily.init(wire:)),
      let flags = payload.load(UInt32.self, at: 8)
    else { return nil }
    func byte(_ offset: Int) -> UInt8 { payload[payload.startIndex + offset] }
    self.init(
      family: family, destinationLength: Int(byte(1)), table: RoutingTable(UInt32(byte(4))),
      origin: Route.Origin(rawValue: byte(5)), scope: InterfaceAddress.Scope(rawValue: byte(6)),
      action: Route.Action(rawValue: byte(7)), flags: flags)
  }

  init(
    family: AddressFamily?, destinationLength: Int = 0, table: RoutingTable = RoutingTable(0),
    origin: Route.Origin = .unspecified, scope: InterfaceAddress.Scope = .universe,
    action: Route.Action = Route.Action(rawValue: 0), flags: UInt32 = 0
  ) {
    self.family = family
    self.destinationLength = destinationLength
    self.table = table
    self.origin = origin
    self.scope = scope
    self.action = action
    self.flags = flags
  }
}

// MARK: - Reading

extension Route {
  /// The route that a message describes; `nil` for a family that this module does not know, and for copies that IPv6
  /// caches.
  init?(_ message: Message) {
    guard let header = RouteHeader(message.payload), let family = header.family else { return nil }
    let attributes = message.attributes(after: RouteHeader.size)
    let destination = attributes.first { $0.type == RouteAttribute.destination }?.value
    guard let length = UInt8(exactly: header.destinationLength),
      let destination = IPPrefix(wire: destination, length: length, family: family)
    else { return nil }

    self.init(
      to: destination, action: header.action, table: header.table, origin: header.origin, scope: header.scope)
    var single = NextHop(flags: NextHop.Flags(rawValue: UInt8(truncatingIfNeeded: header.flags)))
    for attribute in attributes {
      single.read(attribute)
      read(attribute)
    }
    if nextHops.isEmpty, single.interface != nil || single.gateway != nil { nextHops = [single] }
  }

  private mutating func read(_ attribute: Attributes.Element) {
    switch attribute.type {
    case RouteAttribute.table: table = RoutingTable(attribute.uint32 ?? 0)
    case RouteAttribute.priority: metric = attribute.uint32 ?? 0
    case RouteAttribute.preferredSource: preferredSource = IPAddress(bytes: attribute.value)
    case RouteAttribute.multipath: nextHops = NextHop.all(in: attribute.value)
    case RouteAttribute.metrics:
      mtu = attribute.nested.first { $0.type == RouteAttribute.metricMTU }?.uint32.map(Int.init)
    default: break
    }
  }
}

extension NextHop {
  /// Bytes of `struct rtnexthop` (`linux/rtnetlink.h`): length, flags, hops, interface.
  private static let headerSize = 8

  /// The value of `RTA_MULTIPATH`: headers, each with attributes of its own.
  fileprivate static func all(in bytes: ArraySlice<UInt8>) -> [NextHop] {
    var hops: [NextHop] = []
    var rest = bytes
    while let length = rest.load(UInt16.self).map(Int.init), length >= headerSize, length <= rest.count,
      let flags = rest.load(UInt8.self, at: 2), let weight = rest.load(UInt8.self, at: 3),
      let index = rest.load(UInt32.self, at: 4)
    {
      var hop = NextHop(
        interface: InterfaceIndex(wire: index), weight: Int(weight) + 1, flags: Flags(rawValue: flags))
      for attribute in Attributes(rest.prefix(length).dropFirst(headerSize)) { hop.read(attribute) }
      hops.append(hop)
      rest = rest.dropFirst(length.alignedToFour)
    }
    return hops
  }

  fileprivate mutating func read(_ attribute: Attributes.Element) {
    switch attribute.type {
    case RouteAttribute.outputInterface: interface = InterfaceIndex(wire: attribute.uint32)
    case RouteAttribute.gateway: gateway = IPAddress(bytes: attribute.value)
    case RouteAttribute.via: gateway = IPAddress(bytes: attribute.value.dropFirst(2))
    default: break
    }
  }

  /// Adds the gateway to a request about a destination of `family`.
  fileprivate func encodeGateway(_ family: AddressFamily, into request: inout MessageBuilder) {
    guard let gateway else { return }
    if gateway.family == family {
      request.attribute(RouteAttribute.gateway, bytes: gateway.bytes)
    } else {
      request.attribute(RouteAttribute.via, bytes: [gateway.family.wire, 0] + gateway.bytes)
    }
  }
}

// MARK: - Writing

extension Route {
  func encode(into request: inout MessageBuilder) {
    let family = destination.family
    // One hop stands in the message itself.
    let single = nextHops.count == 1 ? nextHops.first : nil
    RouteHeader(
      family: family, destinationLength: destination.length, table: table, origin: origin, scope: scope,
      action: action, flags: UInt32(single?.flags.rawValue ?? 0)
    ).encode(into: &request)
    if destination.length > 0 { request.attribute(RouteAttribute.destination, bytes: destination.address.bytes) }
    request.attribute(RouteAttribute.table, table.rawValue)
    if metric != 0 { request.attribute(RouteAttribute.priority, metric) }
    if let preferredSource { request.attribute(RouteAttribute.preferredSource, bytes: preferredSource.bytes) }
    if let mtu {
      request.nested(RouteAttribute.metrics) { $0.attribute(RouteAttribute.metricMTU, UInt32(mtu)) }
    }
    if let single {
      if let interface = single.interface { request.attribute(RouteAttribute.outputInterface, interface.rawValue) }
      single.encodeGateway(family, into: &request)
    } else if !nextHops.isEmpty {
      encodeMultipath(into: &request)
    }
  }

  private func encodeMultipath(into request: inout MessageBuilder) {
    request.records(RouteAttribute.multipath, nextHops) { hop, request in
      request.append(hop.flags.rawValue)
      request.append(UInt8(hop.weight - 1))
      request.append(hop.interface?.rawValue ?? 0)
      hop.encodeGateway(destination.family, into: &request)
    }
  }

  /// Why the kernel should not be asked for such a route; `nil` if it should.
  var objection: String? {
    let family = destination.family
    if let preferredSource, preferredSource.family != family { return "the preferred source is not \(family)" }
    if let mtu, !(1...Int(Int32.max)).contains(mtu) { return "an MTU is a positive number of bytes, not \(mtu)" }
    for hop in nextHops {
      if !(1...256).contains(hop.weight) { return "a next hop's weight is between 1 and 256, not \(hop.weight)" }
      if hop.gateway?.isIPv4 == true, family == .ipv6 { return "an IPv6 route cannot have an IPv4 gateway" }
    }
    return nil
  }
}
