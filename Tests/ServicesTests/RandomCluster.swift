import MartletModel
import MartletNetworking
import TableTesting

@testable import MartletServices

/// A small cluster in which everything that can happen to services happens often: names, addresses and ports are few,
/// so that services meet.
struct RandomCluster {
  var generator: SeededGenerator
  private(set) var state = ClusterState()

  let configuration = Configuration(
    nodeName: "here", serviceCIDRs: ["10.96.0.0/24", "fd96::/64"], maglevTableSize: 31)

  static let clusterIPs = (1...5).flatMap { [IPAddress("10.96.0.\($0)")!, IPAddress("fd96::\($0)")!] }
  static let externalIPs = ["203.0.113.1", "203.0.113.2", "2001:db8:e::1", "2001:db8:e::2"].map { IPAddress($0)! }
  static let nodeAddresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"].map { IPAddress($0)! }
  static let podAddresses = (1...6).flatMap { [IPAddress("10.0.0.\($0)")!, IPAddress("fd00::\($0)")!] }
  static let clientAddresses = ["198.51.100.7", "198.51.100.200", "10.0.0.9", "2001:db8:c::7", "fd00::9"]
    .map { IPAddress($0)! }
  static let ranges = ["198.51.100.0/25", "10.0.0.0/24", "192.0.2.0/24", "2001:db8:c::/48", "0.0.0.0/0"]
    .map { IPPrefix($0)! }
  static let portNames = ["", "http", "dns"]
  static let protocols = [L4Protocol.tcp, .udp]
  static let names = (0..<5).map { NamespacedName(namespace: $0 < 4 ? "default" : "other", name: "s\($0)") }
  static let nodes = ["here", "there", nil]
  static let zones = ["a", "b"]
  static let kinds: [Service.Kind] = [
    .clusterIP, .nodePort, .nodePort, .nodePort, .loadBalancer, .loadBalancer, .loadBalancer, .externalName,
  ]

  init(seed: Int) { generator = SeededGenerator(seed: seed) }

  /// Every address and port that a service may have, and some that none has.
  static let keys: [FrontendKey] = {
    let addresses = clusterIPs + externalIPs + nodeAddresses + ["10.96.0.99", "192.0.2.9"]
    return addresses.flatMap { address in
      [80, 81, 30_080, 30_081].flatMap { port in
        protocols.map { FrontendKey(address: address, port: port, protocol: $0) }
      }
    }
  }()

  /// A frontend that some service claims, or one of all ``keys``.
  mutating func randomKey() -> FrontendKey {
    var claimed: [FrontendKey] = []
    for service in state.services.values.sorted(by: { $0.name < $1.name }) {
      let addresses = service.clusterIPs + service.externalIPs + service.loadBalancerIngress.map(\.address)
      for port in service.ports {
        claimed += addresses.map { FrontendKey(address: $0, port: port.port, protocol: port.protocol) }
        guard let nodePort = port.nodePort else { continue }
        claimed += Self.nodeAddresses.map { FrontendKey(address: $0, port: nodePort, protocol: port.protocol) }
      }
    }
    return claimed.isEmpty || generator.oneIn(4) ? generator.pick(Self.keys) : generator.pick(claimed)
  }

  mutating func randomClient(for key: FrontendKey) -> Client {
    let candidates = (Self.clientAddresses + Self.externalIPs).filter { $0.family == key.address.family }
    return Client(address: generator.pick(candidates), isOnThisNode: generator.oneIn(2))
  }

  /// Makes one to three random changes to the state and returns them.
  mutating func edit() -> [StateChange] {
    let changes = (0..<Int.random(in: 1...3, using: &generator)).map { _ in randomChange() }
    for change in changes { state.apply(change) }
    return changes
  }

  private mutating func randomChange() -> StateChange {
    switch Int.random(in: 0..<20, using: &generator) {
    case 0: generator.oneIn(5) ? .removed(.node("here")) : .set(.node(randomNode()))
    case 1: .removed(.service(generator.pick(Self.names)))
    case 2...7: .set(.service(randomService()))
    case 8: .removed(.endpointSlice(randomSliceName()))
    case 9...13: touchedSlice()
    default: .set(.endpointSlice(randomSlice()))
    }
  }

  private mutating func randomNode() -> Node {
    Node(
      name: generator.oneIn(8) ? "there" : "here", addresses: generator.some(Self.nodeAddresses).map { .init($0) },
      labels: generator.oneIn(3) ? [:] : [Node.zoneLabel: generator.pick(Self.zones)])
  }

  private mutating func randomService() -> Service {
    var service = Service(name: generator.pick(Self.names), kind: generator.pick(Self.kinds))
    let index = Int.random(in: 1...5, using: &generator)
    service.clusterIPs = [IPAddress("10.96.0.\(index)")!, IPAddress("fd96::\(index)")!]
    if generator.oneIn(6) { service.clusterIPs = generator.some(service.clusterIPs) }
    service.externalIPs = generator.oneIn(2) ? [] : generator.some(Self.externalIPs + Self.nodeAddresses.prefix(1))
    service.loadBalancerIngress = generator.some(Self.externalIPs).map {
      .init($0, mode: generator.oneIn(4) ? .proxy : .vip)
    }
    if generator.oneIn(8) { service.externalIPs.append(generator.pick(Self.clusterIPs)) }
    service.isHeadless = generator.oneIn(15)
    service.proxyName = generator.oneIn(15) ? "other" : nil
    service.ports = generator.some(Self.portNames).map { name in
      Service.Port(
        name: name, protocol: randomProtocol(of: name), port: generator.pick([80, 81]),
        nodePort: generator.pick([nil, 30_080, 30_081]))
    }
    service.internalTrafficPolicy = generator.pick([.cluster, .cluster, .local])
    service.externalTrafficPolicy = generator.pick(Service.TrafficPolicy.allCases)
    service.sourceRanges = generator.oneIn(2) ? [] : generator.some(Self.ranges)
    service.sessionAffinity = generator.oneIn(3) ? .clientIP(timeout: generator.pick([10, 20])) : .none
    service.loadBalancing = generator.pick(Service.LoadBalancing.allCases)
    service.forwarding = generator.pick(Service.Forwarding.allCases)
    return service
  }

  /// Service and slice agree about it as a rule.
  private mutating func randomProtocol(of portName: String) -> L4Protocol {
    (portName == "dns") != generator.oneIn(12) ? .udp : .tcp
  }

  private mutating func randomSliceName() -> NamespacedName {
    NamespacedName(
      namespace: generator.oneIn(6) ? "other" : "default", name: "slice-\(Int.random(in: 0..<10, using: &generator))")
  }

  private mutating func randomSlice() -> EndpointSlice {
    let family = generator.pick(AddressFamily.allCases)
    let hints = generator.pick([0, 1, 2, 2])
    return EndpointSlice(
      name: randomSliceName(), serviceName: generator.oneIn(15) ? nil : generator.pick(Self.names).name, family: family,
      endpoints: generator.some(Self.podAddresses).filter { $0.family == family || generator.oneIn(10) }
        .map { randomEndpoint($0, hints: hints) },
      ports: generator.most(Self.portNames + ["http"]).map {
        .init(name: $0, protocol: randomProtocol(of: $0), port: generator.pick([8080, 8081]))
      },
      isHeadless: generator.oneIn(15), proxyName: generator.oneIn(20) ? "other" : nil)
  }

  /// - Parameter hints: 0: none, 1: some endpoints have hints, 2: nearly all have.
  private mutating func randomEndpoint(_ address: IPAddress, hints: Int) -> EndpointSlice.Endpoint {
    let hasHints = hints == 2 ? !generator.oneIn(10) : hints == 1 && generator.oneIn(2)
    return .init(
      address: address, isReady: generator.oneIn(2), isServing: !generator.oneIn(4),
      isTerminating: generator.oneIn(2), node: generator.pick(Self.nodes),
      zoneHints: hasHints ? Set(generator.some(Self.zones)) : [],
      nodeHints: hasHints ? Set(generator.some(["here", "there"])) : [])
  }

  /// The everyday change: one endpoint of an existing slice becomes ready, unready, or terminates.
  private mutating func touchedSlice() -> StateChange {
    let slices = state.endpointSlices.values.sorted { $0.name < $1.name }.filter { !$0.endpoints.isEmpty }
    guard !slices.isEmpty else { return .set(.endpointSlice(randomSlice())) }
    var slice = generator.pick(slices)
    let index = Int.random(in: slice.endpoints.indices, using: &generator)
    slice.endpoints[index] = randomEndpoint(slice.endpoints[index].address, hints: 1)
    return .set(.endpointSlice(slice))
  }
}
