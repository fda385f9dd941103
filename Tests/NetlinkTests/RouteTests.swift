import BPFTesting
import MartletNetworking
import Netlink
import Testing

@Suite(.requires(.networkNamespaces)) struct RouteTests {
  private func expectAgreement(_ network: Network, _ address: IPAddress, _ comment: Comment? = nil) throws {
    let route = try #require(try network.netlink.route(to: address))
    let tool = try #require(try network.tool("route get \(address)", as: [ToolRoute].self).first)
    let link = try route.interface.flatMap { try network.netlink.link($0) }
    #expect(route.destination == IPPrefix(address), comment)
    #expect(link?.name == tool.dev, comment)
    #expect(route.gateway?.description == tool.gateway ?? tool.via?.host, comment)
    #expect(route.preferredSource?.description == tool.prefsrc, comment)
    #expect(route.action == (tool.type == "local" ? .local : .unicast), comment)
  }

  @Test(arguments: Plan.both)
  func lookupAgreesWithTheKernelsOwnRoute(_ plan: Plan) throws {
    let network = try Network(plan)
    try network.namespace.ip(
      "route add \(plan.remote) via \(plan.neighbour)",
      "route add default via \(plan.neighbour) metric 77")
    try expectAgreement(network, plan.neighbour, "on the link")
    try expectAgreement(network, plan.remote.lastAddress, "by a gateway")
    try expectAgreement(network, plan.elsewhere, "by the default route")
    try expectAgreement(network, plan.host, "the host itself")
    let local = try #require(try network.netlink.route(to: plan.host))
    #expect(local.action == .local)
    #expect(local.interface == .loopback)
  }

  @Test(arguments: Plan.both)
  func noRouteIsNil(_ plan: Plan) throws {
    let network = try Network(plan)
    #expect(try network.netlink.route(to: plan.elsewhere) == nil)
  }

  @Test(arguments: Plan.both, [Route.Action.unreachable, .prohibit, .blackhole])
  func refusingRouteIsAnAnswer(_ plan: Plan, _ action: Route.Action) throws {
    let network = try Network(plan)
    try network.netlink.addRoute(Route(to: plan.remote, action: action))
    let route = try #require(try network.netlink.route(to: plan.remote.lastAddress))
    #expect(route.action == action)
    #expect(route.destination == IPPrefix(plan.remote.lastAddress))
  }

  @Test(arguments: Plan.both)
  func lookupFollowsRules(_ plan: Plan) throws {
    let network = try Network(plan)
    let table = RoutingTable(1000)
    try network.netlink.addRoute(
      Route(to: plan.remote, through: [NextHop(interface: network.far)], table: table))
    #expect(try network.netlink.route(to: plan.remote.lastAddress) == nil)
    try network.netlink.addRule(
      RoutingRule(plan.family, priority: 100, table: table, destination: plan.remote))
    let route = try #require(try network.netlink.route(to: plan.remote.lastAddress))
    #expect(route.interface == network.far)
    #expect(route.table == table)
  }

  @Test(arguments: Plan.both)
  func listingAgreesWithIP(_ plan: Plan) throws {
    let network = try Network(plan)
    try network.namespace.ip(
      "route add default via \(plan.neighbour) metric 5 mtu 1400 proto static",
      "route add \(plan.remote) nexthop via \(plan.neighbour) weight 3 nexthop via \(plan.onFarLink) dev far onlink weight 200",
      "route add unreachable \(IPPrefix(plan.elsewhere)) metric 9")
    let names = Dictionary(uniqueKeysWithValues: try network.netlink.links().map { ($0.name, $0.index) })
    let routes = try network.netlink.routes(family: plan.family)
    let expected = try network.tool("\(plan.option) route show table main", as: [ToolRoute].self)
    #expect(routes.count == expected.count)
    for tool in expected {
      let destination =
        tool.dst == "default" ? IPPrefix.all(plan.family) : try #require(IPPrefix(tool.dst))
      let route = try #require(
        routes.first {
          $0.destination == destination && (tool.dev == nil || $0.interface == tool.dev.flatMap { names[$0] })
        })
      #expect(route.metric == tool.metric ?? 0)
      #expect(route.mtu == tool.metrics?.compactMap(\.mtu).first)
      #expect(route.gateway?.description == tool.gateway ?? tool.nexthops?.first?.gateway)
      if let hops = tool.nexthops {
        #expect(route.nextHops.map(\.weight) == hops.map(\.weight))
        #expect(route.nextHops.map(\.interface) == hops.map { names[$0.dev] })
        #expect(route.nextHops.map { $0.gateway?.description } == hops.map(\.gateway))
      }
    }
    #expect(routes.contains { $0.action == .unreachable && $0.metric == 9 })
    #expect(routes.contains { $0.origin == .kernel })
  }

  @Test func listingOfAllTablesHasBothFamiliesAndOneOfAnAbsentTableIsEmpty() throws {
    let network = try Network(Plan.both[1])
    try network.netlink.addAddress(
      InterfaceAddress(Plan.both[0].host, prefixLength: 24, interface: network.near))
    let all = try network.netlink.routes(in: nil)
    for plan in Plan.both {
      #expect(all.contains { $0.table == .local && $0.destination == IPPrefix(plan.host) && $0.action == .local })
      #expect(try network.netlink.routes(in: RoutingTable(4711), family: plan.family) == [])
    }
    #expect(try network.netlink.routes(in: RoutingTable(4711)) == [])
    #expect(try network.netlink.routes(in: .local).allSatisfy { $0.table == .local })
  }

  @Test(arguments: Plan.both)
  func routeIsReplacedAndDeleted(_ plan: Plan) throws {
    let network = try Network(plan)
    func tool() throws -> ToolRoute? {
      let routes = try network.tool("\(plan.option) route show \(plan.remote)", as: [ToolRoute].self)
      return routes.first
    }
    let first = Route(to: plan.remote, through: [NextHop(gateway: plan.neighbour)], metric: 50, mtu: 1300)
    try network.netlink.replaceRoute(first)
    #expect(try tool()?.gateway == "\(plan.neighbour)")
    #expect(try tool()?.metrics?.first?.mtu == 1300)
    #expect(try tool()?.protocol == "static")
    let again = try #require(throws: NetlinkError.self) { try network.netlink.addRoute(first) }
    #expect(again.kind == .exists)

    try network.netlink.replaceRoute(
      Route(to: plan.remote, through: [NextHop(interface: network.far)], metric: 50))
    #expect(try tool()?.dev == "far")
    #expect(try tool()?.gateway == nil)
    #expect(try network.netlink.routes(family: plan.family).filter { $0.destination == plan.remote }.count == 1)

    try network.netlink.deleteRoute(Route(to: plan.remote, origin: .unspecified))
    #expect(try tool() == nil)
    let gone = try #require(throws: NetlinkError.self) { try network.netlink.deleteRoute(first) }
    #expect(gone.kind == .notFound)
  }

  @Test(arguments: Plan.both)
  func multipathRouteIsSpread(_ plan: Plan) throws {
    let network = try Network(plan)
    let hops = [
      NextHop(interface: network.near, gateway: plan.neighbour, weight: 256),
      NextHop(interface: network.far, gateway: plan.onFarLink, flags: .onLink),
    ]
    try network.netlink.replaceRoute(Route(to: plan.remote, through: hops))
    let tool = try network.tool("\(plan.option) route show \(plan.remote)", as: [ToolRoute].self)
    #expect(tool.first?.nexthops?.map(\.weight) == [256, 1])
    let listed = try network.netlink.routes(family: plan.family).first { $0.destination == plan.remote }
    #expect(listed?.nextHops.map(\.gateway) == hops.map(\.gateway))
    // A listed route names itself.
    try network.netlink.deleteRoute(try #require(listed))
    #expect(try !network.netlink.routes(family: plan.family).contains { $0.destination == plan.remote })
  }

  @Test func ipv4RouteMayHaveAnIPv6Gateway() throws {
    let network = try Network(Plan.both[1])
    let gateway = Plan.both[1].neighbour
    let remote = Plan.both[0].remote
    try network.netlink.replaceRoute(
      Route(to: remote, through: [NextHop(interface: network.near, gateway: gateway)]))
    let tool = try #require(try network.tool("route show \(remote)", as: [ToolRoute].self).first)
    #expect(tool.via?.host == "\(gateway)")
    #expect(try network.netlink.routes(family: .ipv4).first { $0.destination == remote }?.gateway == gateway)
  }

  @Test(arguments: Plan.both)
  func unusableGatewayIsExplainedByTheKernel(_ plan: Plan) throws {
    let network = try Network(plan)
    let route = Route(to: plan.remote, through: [NextHop(gateway: plan.elsewhere)])
    let error = try #require(throws: NetlinkError.self) { try network.netlink.replaceRoute(route) }
    #expect(error.operation == "replace route")
    #expect(error.object.contains("\(plan.remote) via \(plan.elsewhere)"))
    if plan.family == .ipv4 { #expect(error.kernelMessage == "Nexthop has invalid gateway") }
  }

  @Test(arguments: [
    Route(to: Plan.both[1].remote, through: [NextHop(gateway: Plan.both[0].neighbour)]),
    Route(to: Plan.both[0].remote, preferredSource: Plan.both[1].host),
    Route(to: Plan.both[0].remote, through: [NextHop(interface: .loopback, weight: 0)]),
    Route(to: Plan.both[0].remote, through: [NextHop(interface: .loopback, weight: 257)]),
    Route(to: Plan.both[0].remote, mtu: 0),
  ])
  func contradictoryRouteIsRefusedBeforeTheKernelSeesIt(_ route: Route) throws {
    let network = try Network()
    let error = try #require(throws: NetlinkError.self) { try network.netlink.replaceRoute(route) }
    #expect(error.kind == .invalid)
    #expect(error.errno == 0)
    #expect(error.hint != nil)
  }

  @Test func defaultRoutesNameInterfacesByMetric() throws {
    let network = try Network(Plan.both[0])
    #expect(try network.netlink.interfacesWithDefaultRoute() == [])
    try network.namespace.ip(
      "addr add 2001:db8:1::1/64 dev far nodad", "route add default via 192.0.2.2 metric 200",
      "route add unreachable default metric 300", "route add default via 2001:db8:1::2 metric 100",
      "route add default via 192.0.2.3 metric 400 table 99")
    #expect(try network.netlink.interfacesWithDefaultRoute() == [network.far, network.near])
    #expect(try network.netlink.interfacesWithDefaultRoute(family: .ipv4) == [network.near])
    #expect(try network.netlink.interfacesWithDefaultRoute(family: .ipv6) == [network.far])
  }
}
