import BPFTesting
import MartletNetworking
import Testing

/// `spec.type`, and what else decides which frontends a service has.
@Suite(.requiresBPF, .cluster, .serialized) struct ServiceTypeTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private let endpoints = EndpointSliceManifest(["p11", "p21"])
  private let everyone: Answers.Outcome = .answered(by: ["p11", "p21"])
  private let external: JSON = .list(DualAddress.external.both.map { "\($0)" })

  private func askNodePort(_ family: AddressFamily, _ port: UInt16 = 30080) throws -> Answers.Outcome {
    try cluster.client.ask(SocketAddress(cluster.node(1)[family], port), count: 20).outcome
  }

  private func askLoadBalancer(_ family: AddressFamily) throws -> Answers.Outcome {
    try cluster.route(DualAddress.loadBalancer[family], via: 1)
    return try cluster.client.ask(.loadBalancer, 80, .packets(family), count: 20).outcome
  }

  @Test(arguments: AddressFamily.allCases) func typeDecidesWhichFrontendsThereAre(_ family: AddressFamily) throws {
    let pod = cluster.pod(1, 2)
    let all = ServiceManifest.loadBalancer
    // Ports and addresses stay in the object, as they do when a type is changed by a patch.
    for (type, hasNodePort, hasLoadBalancer) in [
      (nil, false, false), ("NodePort", true, false), ("LoadBalancer", true, true), ("ClusterIP", false, false),
    ] as [(String?, Bool, Bool)] {
      try cluster.apply(services: [all.with { $0.type = type }], slices: [endpoints])
      #expect(try pod.ask(.web, 80, .packets(family), count: 20).outcome == everyone, "\(type ?? "none")")
      #expect(try askNodePort(family) == (hasNodePort ? everyone : .refused), "\(type ?? "none")")
      let outcome = try askLoadBalancer(family)
      if hasLoadBalancer { #expect(outcome == everyone) } else { #expect(outcome != everyone) }
    }
  }

  @Test(arguments: AddressFamily.allCases) func connectionsSurviveChangesOfTypeOnFrontendsThatStay(
    _ family: AddressFamily
  ) throws {
    try cluster.apply(services: [.clusterIP], slices: [endpoints])
    let byClusterIP = try cluster.pod(1, 2).connect(to: SocketAddress(DualAddress.web[family], 80))
    #expect(byClusterIP.exchange().reply != nil)
    try cluster.apply(services: [.nodePort], slices: [endpoints])
    #expect(byClusterIP.exchange().reply != nil)
    let byNodePort = try cluster.client.connect(to: SocketAddress(cluster.node(1)[family], 30080))
    #expect(byNodePort.exchange().reply != nil)
    try cluster.apply(services: [.loadBalancer], slices: [endpoints])
    #expect(byClusterIP.exchange().reply != nil)
    #expect(byNodePort.exchange().reply != nil)
    try cluster.apply(services: [.clusterIP], slices: [endpoints])
    #expect(byClusterIP.exchange().reply != nil)
    #expect(try askNodePort(family) == .refused)
  }

  @Test(arguments: AddressFamily.allCases) func releasedNodePortIsTheHostsAgain(_ family: AddressFamily) throws {
    let process = try EchoServer("process", .tcp, port: 30080, in: cluster.node(1).namespace)
    try cluster.apply(services: [.nodePort], slices: [endpoints])
    #expect(try askNodePort(family) == everyone)
    try cluster.apply(services: [.nodePort.with { $0.ports = [.init(80, nodePort: 30081)] }], slices: [endpoints])
    #expect(try askNodePort(family) == .answered(by: ["process"]))
    #expect(try askNodePort(family, 30081) == everyone)
    try cluster.apply(services: [.clusterIP], slices: [endpoints])
    #expect(try askNodePort(family, 30081) == .refused)
    withExtendedLifetime(process) {}
  }

  @Test(arguments: AddressFamily.allCases) func loadBalancerWithoutNodePorts(_ family: AddressFamily) throws {
    for port in [ServiceManifest.Port(80), ServiceManifest.Port(80, nodePort: 0)] {
      try cluster.apply(
        services: [
          .loadBalancer.with {
            $0.ports = [port]
            $0.spec = ["allocateLoadBalancerNodePorts": false]
          }
        ], slices: [endpoints])
      #expect(try askLoadBalancer(family) == everyone)
      #expect(try askNodePort(family) == .refused)
      #expect(try askNodePort(family, 80) == .refused)
    }
  }

  @Test(arguments: Access.all) func externalNameHasNoFrontendEvenWithAStaleClusterIP(_ access: Access) throws {
    let alias = ServiceManifest.loadBalancer.with {
      $0.type = "ExternalName"
      $0.spec = ["externalName": "example.org", "externalIPs": external]
    }
    let pod = cluster.pod(1, 2)
    try cluster.apply(services: [alias], slices: [endpoints])
    #expect(try pod.ask(.web, 80, access).outcome == .dropped, "nobody has the address")
    #expect(try askNodePort(access.family) == .refused)
    try cluster.apply(services: [.clusterIP], slices: [endpoints])
    #expect(try pod.ask(.web, 80, access, count: 20).outcome == everyone)
    try cluster.apply(services: [alias], slices: [endpoints])
    #expect(try pod.ask(.web, 80, access).outcome == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func headlessServiceHasNoFrontendWhateverElseItHas(_ family: AddressFamily)
    throws
  {
    let headless = ServiceManifest.nodePort.with {
      $0.clusterIPs = []
      $0.spec = ["clusterIP": "None", "clusterIPs": ["None"], "externalIPs": external]
    }
    try cluster.apply(services: [headless], slices: [endpoints])
    #expect(try askNodePort(family) == .refused)
    try cluster.route(DualAddress.external[family], via: 1)
    #expect(try cluster.client.ask(.external, 80, .packets(family)).outcome != everyone)
  }

  @Test(arguments: AddressFamily.allCases) func serviceWithoutAnAddressYetIsNotThere(_ family: AddressFamily) throws {
    let process = try EchoServer("process", .tcp, port: 80, in: cluster.node(1).namespace)
    for spec in [["clusterIP": ""], ["clusterIP": "", "clusterIPs": []], [:]] as [JSON] {
      let service = ServiceManifest.nodePort.with {
        $0.clusterIPs = []
        $0.spec = spec
      }
      try cluster.apply(services: [service], slices: [endpoints])
      #expect(try askNodePort(family) == .refused)
      #expect(try askNodePort(family, 80) == .answered(by: ["process"]))
    }
    withExtendedLifetime(process) {}
  }

  @Test(arguments: AddressFamily.allCases) func externalIPIsAnsweredWithAnyType(_ family: AddressFamily) throws {
    for service in [ServiceManifest.clusterIP, .nodePort, .loadBalancer] {
      try cluster.apply(services: [service.with { $0.spec = ["externalIPs": external] }], slices: [endpoints])
      try cluster.route(DualAddress.external[family], via: 3)
      let answers = try cluster.client.ask(.external, 80, .packets(family), count: 20)
      #expect(answers.outcome == everyone)
      #expect(answers.peers == [cluster.client[family]])
    }
  }

  // MARK: - Families

  @Test(arguments: Access.all) func oneFamilyWithoutEndpointsIsRefusedWhileTheOtherIsServed(_ access: Access) throws {
    let other: AddressFamily = access.family == .ipv4 ? .ipv6 : .ipv4
    try cluster.apply(services: [.clusterIP], slices: [.init(["p11"]) { $0.families = [other] }])
    let pod = cluster.pod(1, 2)
    #expect(try pod.ask(.web, 80, access).outcome == .refused)
    #expect(
      try pod.ask(.web, 80, Access(family: other, balancing: access.balancing)).outcome == .answered(by: ["p11"]))
  }

  @Test(arguments: Access.all) func secondFamilyComesAndGoes(_ access: Access) throws {
    let other: AddressFamily = access.family == .ipv4 ? .ipv6 : .ipv4
    let (first, second) = (DualAddress.web[access.family], DualAddress.web[other])
    let pod = cluster.pod(1, 2)
    let inOther = Access(family: other, balancing: access.balancing)
    for (addresses, isDual) in [([first], false), ([first, second], true), ([second, first], true), ([first], false)] {
      try cluster.apply(services: [.clusterIP.with { $0.clusterIPs = addresses }], slices: [endpoints])
      #expect(try pod.ask(.web, 80, access, count: 20).outcome == everyone)
      #expect(try pod.ask(.web, 80, inOther, count: 20).outcome == (isDual ? everyone : .dropped))
    }
  }

  @Test(arguments: AddressFamily.allCases) func singleFamilyHasNodePortsOfThatFamilyOnly(_ family: AddressFamily) throws
  {
    let other: AddressFamily = family == .ipv4 ? .ipv6 : .ipv4
    try cluster.apply(
      services: [.nodePort.with { $0.clusterIPs = [DualAddress.web[family]] }], slices: [endpoints])
    #expect(try askNodePort(family) == everyone)
    #expect(try askNodePort(other) == .refused)
  }

  // MARK: - Fields without effect, and objects on their way out

  @Test(arguments: Access.all) func fieldsForOthersHaveNoEffect(_ access: Access) throws {
    let service = ServiceManifest.clusterIP.with {
      $0.spec = [
        "loadBalancerClass": "example.org/lb", "loadBalancerIP": "198.51.100.1", "trafficDistribution": "PreferClose",
        "ports": [["port": 80, "targetPort": "http", "appProtocol": "kubernetes.io/h2c"]], "healthCheckNodePort": 0,
        "publishNotReadyAddresses": true, "selector": [:],
      ]
      $0.annotations = ["service.kubernetes.io/topology-mode": "Auto"]
    }
    try cluster.apply(services: [service], slices: [endpoints])
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 20).outcome == everyone)
    #expect(try cluster.pod(3, 2).ask(.web, 80, access, count: 20).outcome == everyone)
  }

  @Test(arguments: AddressFamily.allCases) func serviceIsServedUntilItsFinalizersAreThrough(_ family: AddressFamily)
    throws
  {
    let service = ServiceManifest.loadBalancer.with {
      $0.fields = [
        "metadata": [
          "deletionTimestamp": "2026-11-23T00:00:00Z", "finalizers": ["service.kubernetes.io/load-balancer-cleanup"],
        ]
      ]
    }
    try cluster.apply(services: [service], slices: [endpoints])
    #expect(try askLoadBalancer(family) == everyone)
    #expect(try askNodePort(family) == everyone)
    try cluster.apply(slices: [endpoints])
    #expect(try askNodePort(family) == .refused)
  }

  @Test(arguments: Access.all, ["", "somebody-else"]) func labelNamingAnotherProxyHandsTheServiceOver(
    _ access: Access, _ proxy: String
  ) throws {
    let label = ["service.kubernetes.io/service-proxy-name": JSON.string(proxy)]
    let pod = cluster.pod(1, 2)
    for isOurs in [true, false, true] {
      let service = ServiceManifest.nodePort.with { $0.labels = isOurs ? [:] : label }
      try cluster.apply(services: [service], slices: [endpoints])
      #expect(try pod.ask(.web, 80, access, count: 20).outcome == (isOurs ? everyone : .dropped))
      #expect(try askNodePort(access.family) == (isOurs ? everyone : .refused))
    }
  }

  @Test(arguments: Access.all) func labelHeadlessOnTheServiceTakesItAway(_ access: Access) throws {
    let pod = cluster.pod(1, 2)
    for isHeadless in [false, true, false] {
      let service = ServiceManifest.clusterIP.with {
        $0.labels = isHeadless ? ["service.kubernetes.io/headless": ""] : [:]
      }
      try cluster.apply(services: [service], slices: [endpoints])
      let outcome = try pod.ask(.web, 80, access, count: 20).outcome
      if isHeadless { #expect(outcome != everyone) } else { #expect(outcome == everyone) }
    }
  }
}
