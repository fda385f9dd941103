import BPFTesting
import MartletNetworking
import Testing

/// Endpoints near the client: by hints alone, and never at the price of having none.
@Suite(.requiresBPF, .cluster, .serialized) struct TopologyHintTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private typealias Endpoint = EndpointSliceManifest.Endpoint

  /// Nodes 1 and 2 are in zone `a`, node 3 in zone `b`.
  private static let zones: [Endpoint] = [
    Endpoint("p11", hints: .hints(zones: ["a"])), Endpoint("p21", hints: .hints(zones: ["a"])),
    Endpoint("p31", hints: .hints(zones: ["b"])),
  ]

  private func expect(
    _ names: Set<String>, onNode node: Int, _ access: Access, _ location: SourceLocation = #_sourceLocation
  ) throws {
    for client in [cluster.pod(node, 2), cluster.node(node)] {
      let answers = try client.ask(.web, 80, access, count: names.count * 12)
      #expect(answers.outcome == .answered(by: names), "\(client.name)", sourceLocation: location)
    }
  }

  @Test(arguments: Access.all) func zoneHintsKeepClientsInTheirZone(_ access: Access) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(Self.zones)])
    try expect(["p11", "p21"], onNode: 1, access)
    try expect(["p31"], onNode: 3, access)
  }

  @Test(arguments: AddressFamily.allCases) func zoneHintsNarrowNodePortsAsWell(_ family: AddressFamily) throws {
    try cluster.apply(services: [.nodePort], slices: [.init(Self.zones)])
    let client = cluster.client
    let far = try client.ask(cluster.node(3).address, 30080, .packets(family), count: 10)
    #expect(far.outcome == .answered(by: ["p31"]))
    let near = try client.ask(cluster.node(1).address, 30080, .packets(family), count: 24)
    #expect(near.outcome == .answered(by: ["p11", "p21"]))
  }

  @Test(arguments: AddressFamily.allCases) func endpointWithoutHintSwitchesHintsOff(_ family: AddressFamily) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init(Self.zones.dropLast() + ["p31"])])
    try expect(["p11", "p21", "p31"], onNode: 3, .packets(family))
  }

  @Test(arguments: AddressFamily.allCases) func zoneThatNoHintNamesUsesAll(_ family: AddressFamily) throws {
    let endpoints = ["p11", "p21"].map { Endpoint($0, hints: .hints(zones: ["a"])) }
    try cluster.apply(services: [.clusterIP], slices: [.init(endpoints)])
    try expect(["p11", "p21"], onNode: 3, .packets(family))
  }

  @Test(arguments: AddressFamily.allCases) func nodeHintsGoBeforeZoneHints(_ family: AddressFamily) throws {
    let endpoints = [("p11", "a"), ("p21", "a"), ("p31", "b")].map { name, zone in
      Endpoint(name, hints: .hints(zones: [zone], nodes: ["n\(name.dropFirst().prefix(1))"]))
    }
    try cluster.apply(services: [.clusterIP], slices: [.init(endpoints)])
    for node in 1...3 { try expect(["p\(node)1"], onNode: node, .packets(family)) }
    // Without one on the node, the zone's; without one in the zone, any.
    try cluster.apply(services: [.clusterIP], slices: [.init(Array(endpoints.dropFirst()))])
    try expect(["p21"], onNode: 1, .packets(family))
    try cluster.apply(services: [.clusterIP], slices: [.init(Array(endpoints.suffix(1)))])
    try expect(["p31"], onNode: 1, .packets(family))
  }

  @Test(arguments: AddressFamily.allCases) func terminatingEndpointsHintsDoNotCount(_ family: AddressFamily) throws {
    var leaving = Endpoint.terminating("p11")
    leaving.hints = .hints(zones: ["a"])
    try cluster.apply(services: [.clusterIP], slices: [.init([leaving, Self.zones[2]])])
    try expect(["p31"], onNode: 1, .packets(family))
  }

  @Test(arguments: AddressFamily.allCases) func localPolicyIsNotNarrowed(_ family: AddressFamily) throws {
    let service = ServiceManifest.clusterIP.with { $0.spec = ["internalTrafficPolicy": "Local"] }
    let endpoints = [Endpoint("p11", hints: .hints(zones: ["b"])), Endpoint("p31", hints: .hints(zones: ["a"]))]
    try cluster.apply(services: [service], slices: [.init(endpoints)])
    try expect(["p11"], onNode: 1, .packets(family))
  }

  @Test(arguments: AddressFamily.allCases) func nodeThatChangesItsZoneChangesItsEndpoints(
    _ family: AddressFamily
  ) throws {
    func apply(zone: String?) throws {
      let labels: JSON = zone.map { ["topology.kubernetes.io/zone": .string($0)] } ?? [:]
      var node = cluster.nodeObject(0)
      node["metadata"] = ["name": "n1", "labels": labels]
      try cluster.apply(services: [.clusterIP], slices: [.init(Self.zones)], others: [node])
    }
    try apply(zone: "b")
    try expect(["p31"], onNode: 1, .packets(family))
    try apply(zone: nil)
    try expect(["p11", "p21", "p31"], onNode: 1, .packets(family))
    try apply(zone: "a")
    try expect(["p11", "p21"], onNode: 1, .packets(family))
  }
}
