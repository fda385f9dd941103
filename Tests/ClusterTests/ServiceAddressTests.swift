import BPFTesting
import MartletNetworking
import Testing

/// External IPs, node ports, and the load balancer's addresses with their source ranges.
@Suite(.requiresBPF, .cluster, .serialized) struct ServiceAddressTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private let endpoints = EndpointSliceManifest(["p21"])
  private let served: Answers.Outcome = .answered(by: ["p21"])
  private let outsiders = DualAddress("198.18.0.1", "2001:db8:ff::1")

  private func external(_ address: DualAddress) -> JSON { ["externalIPs": .list(address.both.map { "\($0)" })] }

  private func ask(_ address: DualAddress, _ family: AddressFamily, port: UInt16 = 80) throws -> Answers.Outcome {
    try cluster.route(address[family], via: 1)
    return try cluster.client.ask(address, port, .packets(family), count: 3).outcome
  }

  // MARK: - External IPs

  @Test(arguments: AddressFamily.allCases) func oneExternalIPMayHaveSeveralServicesOnDifferentPorts(
    _ family: AddressFamily
  ) throws {
    let first = ServiceManifest.clusterIP.with { $0.spec = external(.external) }
    let second = ServiceManifest.clusterIP.with {
      ($0.name, $0.clusterIPs, $0.ports, $0.spec) = ("other", DualAddress.other.both, [.init(81)], external(.external))
    }
    let others = EndpointSliceManifest(["p31"]) { $0.service = "other" }
    try cluster.apply(services: [first, second], slices: [endpoints, others])
    #expect(try ask(.external, family) == served)
    #expect(try ask(.external, family, port: 81) == .answered(by: ["p31"]))
    try cluster.apply(services: [second], slices: [endpoints, others])
    #expect(try ask(.external, family, port: 81) == .answered(by: ["p31"]))
    #expect(try ask(.external, family) != served)
  }

  @Test(arguments: Access.all) func externalIPOfANodeTakesOnlyItsPort(_ access: Access) throws {
    let service = ServiceManifest.clusterIP.with {
      ($0.ports, $0.spec) = ([.init(9090)], external(cluster.node(1).address))
    }
    try cluster.apply(services: [service], slices: [endpoints])
    for client in [cluster.client, cluster.pod(1, 2), cluster.node(1)] {
      let (address, balancing) = (cluster.node(1).address, access.balancing)
      let atService = try client.ask(
        SocketAddress(address[access.family], 9090), count: 3, balancing: balancing)
      #expect(atService.outcome == served, "\(client.name)")
      let atHost = try client.ask(SocketAddress(address[access.family], 8080), balancing: balancing)
      #expect(atHost.outcome == .answered(by: ["n1"]), "\(client.name)")
    }
    try cluster.apply()
    #expect(try cluster.client.ask(cluster.node(1).address, 9090, access).outcome == .answered(by: ["n1"]))
  }

  @Test(arguments: AddressFamily.allCases) func externalIPOfANodeComesBeforeANodePortOfTheSameNumber(
    _ family: AddressFamily
  ) throws {
    let first = ServiceManifest.nodePort.with { ($0.name, $0.clusterIPs) = ("first", DualAddress.other.both) }
    let second = ServiceManifest.clusterIP.with {
      ($0.ports, $0.spec) = ([.init(30080)], external(cluster.node(1).address))
    }
    let objects = [first.json, second.json]
    let slices =
      try (endpoints.json(cluster.host) + EndpointSliceManifest(["p31"]) { $0.service = "first" }.json(cluster.host))
    try cluster.apply(objects + slices, allowingProblems: true)
    #expect(try cluster.client.ask(cluster.node(1).address, 30080, .packets(family), count: 4).outcome == served)
    #expect(
      try cluster.client.ask(cluster.node(2).address, 30080, .packets(family), count: 4).outcome
        == .answered(by: ["p31"]))
  }

  @Test(arguments: Access.all) func externalIPEqualToAnotherServicesClusterIPLosesAndInheritsIt(_ access: Access) throws
  {
    let owner = ServiceManifest.clusterIP.with { ($0.name, $0.clusterIPs) = ("zz", DualAddress.web.both) }
    let intruder = ServiceManifest.clusterIP.with {
      ($0.name, $0.clusterIPs, $0.spec) = ("aa", DualAddress.other.both, external(.web))
    }
    let slices =
      try EndpointSliceManifest(["p11"]) { $0.service = "zz" }.json(cluster.host)
      + EndpointSliceManifest(["p31"]) { $0.service = "aa" }.json(cluster.host)
    let problems = try cluster.apply([owner.json, intruder.json] + slices, allowingProblems: true)
    #expect(!problems.isEmpty, "one of the two is told")
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 8).outcome == .answered(by: ["p11"]))
    try cluster.apply([intruder.json] + slices)
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 3).outcome == .answered(by: ["p31"]))
  }

  // MARK: - Node ports

  @Test(arguments: AddressFamily.allCases) func ofTwoServicesWithOneNodePortTheFirstHasItAndTheOtherInheritsIt(
    _ family: AddressFamily
  ) throws {
    let first = ServiceManifest.nodePort.with { ($0.name, $0.clusterIPs) = ("aa", DualAddress.other.both) }
    let second = ServiceManifest.nodePort.with { $0.name = "zz" }
    let slices =
      try EndpointSliceManifest(["p11"]) { $0.service = "aa" }.json(cluster.host)
      + EndpointSliceManifest(["p31"]) { $0.service = "zz" }.json(cluster.host)
    func ask() throws -> Answers.Outcome {
      try cluster.client.ask(cluster.node(2).address, 30080, .packets(family), count: 6).outcome
    }
    for objects in [[second], [second, first], [first], [first, second], [second]] {
      try cluster.apply(objects.map(\.json) + slices, allowingProblems: true)
      #expect(try ask() == .answered(by: objects.contains { $0.name == "aa" } ? ["p11"] : ["p31"]))
    }
  }

  // MARK: - Load balancer's addresses

  @Test(arguments: AddressFamily.allCases) func addressesComeAndGoAtRunTime(_ family: AddressFamily) throws {
    let (first, second) = (DualAddress.loadBalancer, DualAddress.otherLoadBalancer)
    for addresses in [[first], [first, second], [second], []] {
      let service = ServiceManifest.loadBalancer.with {
        $0.ingress = addresses.flatMap(\.both).map { ["ip": "\($0)"] }
      }
      try cluster.apply(services: [service], slices: [endpoints])
      for address in [first, second] {
        let outcome = try ask(address, family)
        if addresses.contains(address) { #expect(outcome == served) } else { #expect(outcome != served) }
      }
    }
  }

  @Test(arguments: AddressFamily.allCases) func addressOfAFamilyThatTheServiceLacksIsSkipped(
    _ family: AddressFamily
  ) throws {
    let other: AddressFamily = family == .ipv4 ? .ipv6 : .ipv4
    let service = ServiceManifest.loadBalancer.with {
      $0.clusterIPs = [DualAddress.web[family]]
      $0.ingress += [["hostname": "lb.example.org"]]
    }
    try cluster.apply(services: [service], slices: [endpoints])
    #expect(try ask(.loadBalancer, family) == served)
    #expect(try ask(.loadBalancer, other) != served)
  }

  @Test(arguments: Access.all) func modeProxyLeavesTheAddressToTheLoadBalancer(_ access: Access) throws {
    // The load balancer is the client outside, which has the address.
    let address = DualAddress.loadBalancer[access.family]
    let balancer = try EchoServer("balancer", .tcp, port: 80, in: cluster.client.namespace)
    try? cluster.client.namespace.ip("route del \(address)")
    try cluster.client.namespace.ip("addr add \(address) dev lo")
    defer { try? cluster.client.namespace.ip("addr del \(address) dev lo") }
    for mode in ["VIP", "Proxy", "VIP"] as [JSON] {
      let service = ServiceManifest.loadBalancer.with {
        $0.ingress = [["ip": "\(address)", "ipMode": mode]]
        $0.spec = ["loadBalancerSourceRanges": ["10.65.0.0/16", "192.168.50.0/24", "fd00::/8"]]
      }
      try cluster.apply(services: [service], slices: [endpoints])
      for client in [cluster.pod(1, 2), cluster.node(1)] {
        let outcome = try client.ask(.loadBalancer, 80, access, count: 3).outcome
        #expect(outcome == (mode == "Proxy" ? .answered(by: ["balancer"]) : served), "\(client.name), \(mode)")
      }
      #expect(try cluster.client.ask(cluster.node(1).address, 30080, access, count: 3).outcome == served)
    }
    withExtendedLifetime(balancer) {}
  }

  @Test(arguments: AddressFamily.allCases) func sharedAddressHasRangesForEachServiceAlone(_ family: AddressFamily)
    throws
  {
    let first = ServiceManifest.loadBalancer.with {
      $0.spec = ["loadBalancerSourceRanges": ["198.18.0.0/15", "2001:db8:ff::/48"]]
    }
    let second = ServiceManifest.loadBalancer.with {
      ($0.name, $0.clusterIPs, $0.ports) = ("other", DualAddress.other.both, [.init(81, nodePort: 30081)])
    }
    let others = EndpointSliceManifest(["p31"]) { $0.service = "other" }
    try cluster.apply(services: [first, second], slices: [endpoints, others])
    #expect(try ask(.loadBalancer, family) == .dropped)
    #expect(try ask(.loadBalancer, family, port: 81) == .answered(by: ["p31"]))
  }

  // MARK: - Source ranges

  private func ranges(_ ranges: [String], external: JSON? = nil) -> ServiceManifest {
    ServiceManifest.loadBalancer.with {
      $0.spec["loadBalancerSourceRanges"] = .list(ranges.map { .string($0) })
      if let external { $0.spec = $0.spec.merging(external) }
    }
  }

  @Test(
    arguments: AddressFamily.allCases,
    [
      ([" 192.168.50.0/24 ", "fd50::/64"], true), (["0.0.0.0/0", "::/0"], true),
      (["192.168.50.100/32", "fd50::100/128"], true), (["198.18.0.0/15", "2001:db8:ff::/48"], false),
      (["192.168.50.101/32", "fd50::101/128"], false), ([], true),
    ] as [([String], Bool)])
  func sourceRangesAdmitWhomTheyContain(_ family: AddressFamily, _ row: (ranges: [String], isAdmitted: Bool)) throws {
    try cluster.apply(services: [ranges(row.ranges)], slices: [endpoints])
    #expect(try ask(.loadBalancer, family) == (row.isAdmitted ? served : .dropped))
  }

  /// IPv4's addresses are in that range of IPv6's as the datapath writes them.
  @Test(arguments: AddressFamily.allCases) func rangeOfAllOfOneFamilyAdmitsNobodyOfTheOther(_ family: AddressFamily)
    throws
  {
    for (range, admitted) in [("0.0.0.0/0", AddressFamily.ipv4), ("::/0", .ipv6)] {
      try cluster.apply(services: [ranges([range, "198.18.0.0/15"])], slices: [endpoints])
      #expect(try ask(.loadBalancer, family) == (family == admitted ? served : .dropped), "\(range)")
    }
  }

  @Test(arguments: Access.all) func sourceRangesGuardTheLoadBalancersAddressesOnly(_ access: Access) throws {
    let service = ranges(["198.18.0.0/15", "2001:db8:ff::/48"], external: external(.external))
    try cluster.apply(services: [service], slices: [endpoints])
    #expect(try ask(.loadBalancer, access.family) == .dropped)
    #expect(try ask(.external, access.family) == served)
    #expect(try cluster.client.ask(cluster.node(1).address, 30080, access).outcome == served)
    let pod = cluster.pod(1, 2)
    #expect(try pod.ask(.web, 80, access).outcome == served)
    #expect(try pod.ask(.external, 80, access).outcome == served)
    #expect(try pod.ask(.loadBalancer, 80, access).outcome == .dropped, "pods are clients as any")
    #expect(try cluster.node(1).ask(.loadBalancer, 80, access).outcome == .dropped)
  }

  @Test(arguments: Access.all) func sourceRangesAdmitPodsAndNodesThatTheyContain(_ access: Access) throws {
    try cluster.apply(
      services: [ranges(["10.65.0.0/16", "fd65::/16", "192.168.50.11/32", "fd50::11/128"])], slices: [endpoints])
    #expect(try ask(.loadBalancer, access.family) == .dropped)
    #expect(try cluster.pod(1, 2).ask(.loadBalancer, 80, access).outcome == served)
    #expect(try cluster.node(1).ask(.loadBalancer, 80, access).outcome == served)
    #expect(try cluster.node(2).ask(.loadBalancer, 80, access).outcome == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func annotationStandsInForTheFieldWhileThatIsEmpty(
    _ family: AddressFamily
  ) throws {
    let key = "service.beta.kubernetes.io/load-balancer-source-ranges"
    for (value, field, isAdmitted) in [
      ("198.18.0.0/15, 2001:db8:ff::/48", [], false), (" 192.168.50.0/24 , fd50::/64 ", [], true),
      ("198.18.0.0/15,2001:db8:ff::/48", ["192.168.50.0/24", "fd50::/64"], true), ("", [], true),
    ] as [(String, [String], Bool)] {
      let service = ranges(field).with { $0.annotations = [key: .string(value)] }
      try cluster.apply(services: [service], slices: [endpoints])
      #expect(try ask(.loadBalancer, family) == (isAdmitted ? served : .dropped), "\(value) \(field)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func rangesMayChangeWhileTheServiceIsUsed(_ family: AddressFamily) throws {
    let (inside, elsewhere) = (["192.168.50.0/24", "fd50::/64"], ["198.18.0.0/15", "2001:db8:ff::/48"])
    for (list, isAdmitted) in [
      ([], true), (elsewhere, false), (inside, true), (elsewhere + inside, true), (elsewhere, false), ([], true),
    ] {
      try cluster.apply(services: [ranges(list)], slices: [endpoints])
      #expect(try ask(.loadBalancer, family) == (isAdmitted ? served : .dropped), "\(list)")
    }
  }
}
