import MartletModel
import MartletNetworking

/// What one port of a service asks for on this node: where it answers, and who answers.
struct ServicePortPlan: Equatable {
  let name: ServicePortName
  /// Where it answers, sorted by class; each key once.
  var frontends: [Frontend] = []
  var sets = PerFamily { _ in EndpointSets() }
  var internalPolicy = Service.TrafficPolicy.cluster
  var externalPolicy = Service.TrafficPolicy.cluster
  /// Clients admitted at the load balancer's addresses; `nil`: all of them.
  var sourceRanges: Set<IPPrefix>?
  /// Seconds; 0: no affinity.
  var affinityTimeout: UInt32 = 0
  var usesMaglev = false
  var usesDirectReturn = false

  struct Frontend: Hashable {
    let key: FrontendKey
    let kind: FrontendClass
  }

  /// Whether a frontend of `kind` sends only to this node, at least for clients from outside.
  func isLocal(_ kind: FrontendClass) -> Bool {
    (kind.isExternal ? externalPolicy : internalPolicy) == .local
  }

  /// Whether a frontend of `kind` sends anybody to the cluster set. External ones always do: the external policy does
  /// not bind clients on this node.
  func usesClusterSet(_ kind: FrontendClass) -> Bool {
    kind.isExternal || internalPolicy == .cluster
  }
}

/// Expands services into plans for one node.
struct ServicePlanner {
  let configuration: Configuration
  let node: Node?

  private let locality: Locality
  private let nodePortAddresses: [IPAddress]
  private let nodeAddresses: [IPAddress]

  init(configuration: Configuration, node: Node?, numbers: NodeNumbers) {
    self.configuration = configuration
    self.node = node
    locality = Locality(node: configuration.nodeName, zone: node?.zone, numbers: numbers)
    nodeAddresses = node?.addresses.map(\.address) ?? []
    nodePortAddresses = Self.nodePortAddresses(configuration, node)
  }

  /// The plans of `service`'s ports, none if the service is not ours.
  func plans(for service: Service, slices: some Sequence<EndpointSlice>) -> [ServicePortPlan] {
    guard service.isProxied(by: configuration.proxyName) else { return [] }
    let slices = relevant(slices)
    return service.ports.map { plan(for: $0, of: service, slices: slices) }
  }

  /// Those of `slices` that are for us.
  func relevant(_ slices: some Sequence<EndpointSlice>) -> [EndpointSlice] {
    slices.filter { !$0.isHeadless && $0.proxyName == configuration.proxyName }
  }

  /// Whether the plans of `service` depend on the addresses of this node.
  func dependsOnNodeAddresses(_ service: Service) -> Bool {
    !service.sourceRanges.isEmpty || service.ports.contains { $0.nodePort != nil }
  }

  private func plan(for port: Service.Port, of service: Service, slices: [EndpointSlice]) -> ServicePortPlan {
    var plan = ServicePortPlan(
      name: ServicePortName(service: service.name, port: port.name, protocol: port.protocol))
    plan.internalPolicy = service.internalTrafficPolicy
    plan.externalPolicy = service.externalTrafficPolicy
    plan.usesDirectReturn = configuration.usesDirectReturn(service)
    if case .clientIP(let timeout) = service.sessionAffinity { plan.affinityTimeout = timeout }
    for family in AddressFamily.allCases { plan.frontends += frontends(of: port, of: service, family: family) }
    plan.frontends = Self.unique(plan.frontends)
    plan.sourceRanges = sourceRanges(of: service)
    let kinds = Set(plan.frontends.map(\.kind))
    plan.usesMaglev = service.loadBalancing == .maglev && !kinds.allSatisfy(plan.isLocal)
    plan.sets = PerFamily { family in
      var sets = EndpointSets(of: plan.name, family: family, in: slices, seenFrom: locality)
      if !kinds.contains(where: plan.usesClusterSet) { sets.cluster = [] }
      return sets
    }
    return plan
  }

  /// The frontends of one port in one family; none in a family that the service has no cluster IP of.
  private func frontends(
    of port: Service.Port, of service: Service, family: AddressFamily
  ) -> [ServicePortPlan.Frontend] {
    guard let clusterIP = service.clusterIP(family) else { return [] }
    let ingress = service.kind == .loadBalancer ? service.loadBalancerIngress.filter { $0.mode == .vip } : []
    let nodePort = service.kind == .nodePort || service.kind == .loadBalancer ? port.nodePort ?? 0 : 0
    let addresses: [(FrontendClass, [IPAddress], UInt16)] = [
      (.clusterIP, [clusterIP], port.port),
      (.loadBalancer, ingress.map(\.address), port.port),
      (.externalIP, service.externalIPs, port.port),
      (.nodePort, nodePort == 0 ? [] : nodePortAddresses, nodePort),
    ]
    return addresses.flatMap { kind, addresses, number in
      addresses.filter { $0.family == family }.map { address in
        .init(key: FrontendKey(address: address, port: number, protocol: port.protocol), kind: kind)
      }
    }
  }

  private static func unique(_ frontends: [ServicePortPlan.Frontend]) -> [ServicePortPlan.Frontend] {
    guard frontends.count > 1 else { return frontends }
    var seen: Set<FrontendKey> = []
    return frontends.sorted { ($0.kind, $0.key) < ($1.kind, $1.key) }.filter { seen.insert($0.key).inserted }
  }

  /// The ranges of `service`, and its own addresses where the ranges admit this node: the node reaches the address by
  /// a local route, with the address itself as its source.
  private func sourceRanges(of service: Service) -> Set<IPPrefix>? {
    guard !service.sourceRanges.isEmpty, service.kind == .loadBalancer else { return nil }
    var ranges = Set(service.sourceRanges)
    for ingress in service.loadBalancerIngress where ingress.mode == .vip {
      let own = nodeAddresses.filter { $0.family == ingress.address.family }
      if service.sourceRanges.contains(where: { own.contains(where: $0.contains) }) {
        ranges.insert(IPPrefix(ingress.address))
      }
    }
    return ranges
  }

  /// The addresses that node ports answer on; 127.0.0.1 and ::1 where the configuration names them.
  private static func nodePortAddresses(_ configuration: Configuration, _ node: Node?) -> [IPAddress] {
    var addresses = node.map(configuration.nodePortAddresses(of:)) ?? []
    guard case .within(let prefixes) = configuration.nodePortAddresses else { return addresses }
    for loopback in [IPPrefix(IPAddress(127, 0, 0, 0), length: 8), IPPrefix(IPAddress(high: 0, low: 1))] {
      let address = loopback.family == .ipv4 ? IPAddress(127, 0, 0, 1) : loopback.address
      // A wide prefix such as 0.0.0.0/0 means the node's addresses; only one of loopback addresses means loopback.
      if prefixes.contains(where: { loopback.contains($0) && $0.contains(address) }) { addresses.append(address) }
    }
    return addresses
  }
}
