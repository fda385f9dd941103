import Glibc
import MartletNetworking

// MARK: - Reading

extension NetlinkSocket {
  /// The route that the kernel itself would take to `address`, or `nil` if none leads there.
  ///
  /// The answer has the destination `address` alone and one next hop, chosen as for a packet that this host sends. Where
  /// a route forbids or discards such packets, it is an answer too, with the ``Route/action`` that says so and nothing
  /// else. For IPv4 the table of a local address may read `main`: the kernel keeps both in one until there are rules.
  /// Policy routing rules count, except those that select by more than the destination.
  ///
  /// Corresponds to `RTM_GETROUTE`, as `ip route get`.
  public func route(to address: IPAddress) throws(NetlinkError) -> Route? {
    // RTM_F_LOOKUP_TABLE: name the table that the route was found in. IPv6 always does and refuses the flag.
    let lookUpTable: UInt32 = address.isIPv4 ? 0x1000 : 0
    let destination = IPPrefix(address)
    var request = MessageBuilder(.getRoute)
    RouteHeader(family: address.family, destinationLength: destination.length, flags: lookUpTable)
      .encode(into: &request)
    request.attribute(RouteAttribute.destination, bytes: address.bytes)
    do {
      return try get(request, NetlinkTask("look up route to", "\(address)"), Route.init)
    } catch {
      if error.errno == ENETUNREACH { return nil }
      guard let action = Route.Action(refusal: error) else { throw error }
      return Route(to: destination, action: action)
    }
  }

  /// The routes of a table or of all, of one family or of both.
  ///
  /// A table that does not exist has no routes. The copies that IPv6 caches, and routes for mapped IPv4 addresses
  /// (`::ffff:0:0/96` and inside), are left out. Corresponds to `RTM_GETROUTE` as a dump.
  public func routes(
    in table: RoutingTable? = .main, family: AddressFamily? = nil
  ) throws(NetlinkError) -> [Route] {
    var request = MessageBuilder(.getRoute)
    RouteHeader(family: family).encode(into: &request)
    if let table { request.attribute(RouteAttribute.table, table.rawValue) }
    let task = NetlinkTask("list", table.map { "routes of table \($0)" } ?? "routes")
    do {
      return try dump(request, task, Route.init)
    } catch {
      if error.kind == .notFound { return [] }
      throw error
    }
  }

  /// The interfaces that a default route of the main table leads through, each once, lowest metric first.
  ///
  /// They are what a data plane attaches to when nobody names the interfaces. Both families count unless `family` names
  /// one; routes that forbid or discard do not.
  public func interfacesWithDefaultRoute(
    family: AddressFamily? = nil
  ) throws(NetlinkError) -> [InterfaceIndex] {
    let routes = try routes(family: family).filter { $0.isDefault && $0.action == .unicast }
    var seen: Set<InterfaceIndex> = []
    return routes.sorted { $0.metric < $1.metric }
      .flatMap { $0.nextHops.compactMap(\.interface) }
      .filter { seen.insert($0).inserted }
  }
}

extension Route.Action {
  /// The action of the route on which a lookup failed.
  fileprivate init?(refusal error: NetlinkError) {
    switch error.errno {
    case EHOSTUNREACH: self = .unreachable
    case EACCES: self = .prohibit
    // Requests that are wrong come with an explanation.
    case EINVAL where error.kernelMessage == nil: self = .blackhole
    default: return nil
    }
  }
}

// MARK: - Changing

extension NetlinkSocket {
  /// Adds a route.
  ///
  /// Throws `exists` if there is one to the same destination with the same metric in the table. Corresponds to
  /// `RTM_NEWROUTE` with `NLM_F_CREATE | NLM_F_EXCL`.
  public func addRoute(_ route: Route) throws(NetlinkError) {
    try change(.newRoute, route, "add route", flags: [.create, .exclusive])
  }

  /// Adds a route, in place of the one to the same destination with the same metric in the table, if there is one.
  ///
  /// The change is atomic: every packet takes the old route or the new. Corresponds to `RTM_NEWROUTE` with
  /// `NLM_F_CREATE | NLM_F_REPLACE`.
  public func replaceRoute(_ route: Route) throws(NetlinkError) {
    try change(.newRoute, route, "replace route", flags: [.create, .replace])
  }

  /// Deletes a route.
  ///
  /// It is found by destination, table, action, and by metric, origin, preferred source and next hops as far as they are
  /// given: `Route(to: prefix, origin: .unspecified)` is the first to that prefix. Throws `notFound` if there is none.
  /// Corresponds to `RTM_DELROUTE`.
  public func deleteRoute(_ route: Route) throws(NetlinkError) {
    var route = route
    // Any: a listed route and one made by hand differ in it more often than is useful.
    route.scope = .nowhere
    try change(.deleteRoute, route, "delete route")
  }

  private func change(
    _ type: MessageType, _ route: Route, _ operation: String, flags: MessageFlags = []
  ) throws(NetlinkError) {
    let task = NetlinkTask(operation, "\(route)")
    if let objection = route.objection { throw .refused(task, hint: objection) }
    var request = MessageBuilder(type)
    route.encode(into: &request)
    try change(request, flags: flags, task)
  }
}
