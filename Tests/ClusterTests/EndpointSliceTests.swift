import BPFTesting
import MartletNetworking
import Testing

/// The fields of EndpointSlices.
@Suite(.requiresBPF, .cluster, .serialized) struct EndpointSliceTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  /// Who answers pod 2 of node 1 at the cluster IP.
  private func ask(_ access: Access, _ number: L4Protocol = .tcp, port: UInt16 = 80, count: Int = 24) throws
    -> Answers.Outcome
  {
    try cluster.pod(1, 2).ask(.web, port, access, number, count: count).outcome
  }

  // MARK: - Metadata

  @Test(arguments: Access.all) func sliceBelongsToTheServiceThatItsLabelNamesWhateverItsName(_ access: Access) throws {
    let other = ServiceManifest.clusterIP.with { ($0.name, $0.clusterIPs) = ("other", DualAddress.other.both) }
    var slice = EndpointSliceManifest(["p11"]) { $0.suffix = "-of-somebody" }
    try cluster.apply(services: [.clusterIP, other], slices: [slice])
    #expect(try ask(access) == .answered(by: ["p11"]))
    #expect(try cluster.pod(1, 2).ask(.other, 80, access).outcome == .refused)
    slice.labels = ["kubernetes.io/service-name": "other"]
    try cluster.apply(services: [.clusterIP, other], slices: [slice])
    #expect(try ask(access) == .refused)
    #expect(try cluster.pod(1, 2).ask(.other, 80, access, count: 3).outcome == .answered(by: ["p11"]))
    slice.labels = [:]
    try cluster.apply(services: [.clusterIP, other], slices: [slice])
    #expect(try ask(access) == .refused)
    #expect(try cluster.pod(1, 2).ask(.other, 80, access).outcome == .refused)
  }

  @Test(arguments: Access.all) func serviceOfTheSameNameInAnotherNamespaceIsAnotherOne(_ access: Access) throws {
    let other = ServiceManifest.clusterIP.with { ($0.namespace, $0.clusterIPs) = ("apart", DualAddress.other.both) }
    try cluster.apply(
      services: [.clusterIP, other], slices: [.init(["p11"]), .init(["p21"]) { $0.namespace = "apart" }])
    #expect(try ask(access) == .answered(by: ["p11"]))
    #expect(try cluster.pod(1, 2).ask(.other, 80, access, count: 10).outcome == .answered(by: ["p21"]))
  }

  @Test(arguments: Access.all, ["service.kubernetes.io/headless", "service.kubernetes.io/service-proxy-name"])
  func labelOnTheSliceTakesItsEndpointsAway(_ access: Access, _ label: String) throws {
    for isOurs in [true, false, true] {
      let slice = EndpointSliceManifest(["p11"]) {
        $0.labels = ["kubernetes.io/service-name": "web"]
        if !isOurs { $0.labels?[label] = "" }
      }
      try cluster.apply(services: [.clusterIP], slices: [slice])
      #expect(try ask(access) == (isOurs ? .answered(by: ["p11"]) : .refused))
    }
  }

  // MARK: - Addresses

  @Test(arguments: Access.all) func domainNamesAndAddressesOfAnotherFamilyAreIgnored(_ access: Access) throws {
    let name: JSON = [
      "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "FQDN",
      "metadata": ["name": "web-fqdn", "namespace": "default", "labels": ["kubernetes.io/service-name": "web"]],
      "endpoints": [["addresses": ["example.org"]]], "ports": [.port(8080)],
    ]
    let other: AddressFamily = access.family == .ipv4 ? .ipv6 : .ipv4
    let stray = EndpointSliceManifest.Endpoint("p31", fields: ["addresses": ["\(cluster.pod(3, 1)[other])"]])
    var slice = EndpointSliceManifest(["p11", stray])
    slice.families = [access.family]
    let objects = [ServiceManifest.clusterIP.json, name] + (try slice.json(cluster.host))
    let problems = try cluster.apply(objects, allowingProblems: true)
    #expect(problems.count == 1, "\(problems)")
    #expect(try ask(access) == .answered(by: ["p11"]))
  }

  @Test(arguments: Access.all) func onlyTheFirstAddressOfAnEndpointCounts(_ access: Access) throws {
    let several: JSON = [
      "addresses": ["\(cluster.pod(1, 1)[access.family])", "\(cluster.pod(3, 1)[access.family])"]
    ]
    let slice = EndpointSliceManifest([.init("p11", fields: several), .init("p21", fields: ["addresses": []])]) {
      $0.families = [access.family]
    }
    try cluster.apply(services: [.clusterIP], slices: [slice])
    #expect(try ask(access) == .answered(by: ["p11"]))
  }

  @Test(arguments: Access.all) func endpointsOutsideTheClusterServeASelectorlessService(_ access: Access) throws {
    let outside = try EchoServer("outside", .tcp, port: 8080, in: cluster.client.namespace)
    for spec in [["selector": nil], [:]] as [JSON] {
      try cluster.apply(services: [.clusterIP.with { $0.spec = spec }], slices: [.init(["client"])])
      for client in [cluster.pod(1, 2), cluster.node(1)] {
        let answers = try client.ask(.web, 80, access, count: 3)
        #expect(answers.outcome == .answered(by: ["outside"]))
        #expect(answers.peers == [cluster.node(1)[access.family]], "pods leave the cluster by the node's address")
      }
    }
    withExtendedLifetime(outside) {}
  }

  @Test(arguments: AddressFamily.allCases) func endpointsOutsideTheClusterServeClientsOutside(
    _ family: AddressFamily
  ) throws {
    let outside = try EchoServer("outside", .tcp, port: 8080, in: cluster.client.namespace)
    try cluster.apply(services: [.nodePort], slices: [.init(["client"])])
    let answers = try cluster.client.ask(SocketAddress(cluster.node(1)[family], 30080), count: 3)
    #expect(answers.outcome == .answered(by: ["outside"]))
    #expect(answers.peers == [cluster.node(1)[family]], "the reply has to come back this way")
    withExtendedLifetime(outside) {}
  }

  // MARK: - Conditions

  @Test(
    arguments: Access.all,
    [
      ([:], true), (["ready": nil], true), (["ready": true, "serving": false, "terminating": true], true),
      (["ready": true, "serving": false], true), (["ready": false], false), (["ready": false, "serving": true], false),
      (["ready": false, "terminating": true], true), (["ready": false, "serving": nil, "terminating": true], true),
      (["ready": false, "serving": false, "terminating": true], false),
    ] as [(JSON, Bool)])
  func conditionsDecideWhetherAnEndpointIsUsed(_ access: Access, _ row: (conditions: JSON, isUsed: Bool)) throws {
    try cluster.apply(services: [.clusterIP], slices: [.init([.init("p21", conditions: row.conditions)])])
    #expect(try ask(access, count: 2) == (row.isUsed ? .answered(by: ["p21"]) : .refused))
  }

  @Test(arguments: Access.all) func endpointsWithoutConditionsAreReady(_ access: Access) throws {
    let objects = try EndpointSliceManifest(["p11", "p21"]).json(cluster.host).map { slice in
      var slice = slice
      if case .list(let endpoints)? = slice["endpoints"] {
        slice["endpoints"] = .list(
          endpoints.map {
            var endpoint = $0
            endpoint["conditions"] = nil
            return endpoint
          })
      }
      return slice
    }
    try cluster.apply([ServiceManifest.clusterIP.json] + objects)
    #expect(try ask(access) == .answered(by: ["p11", "p21"]))
  }

  // MARK: - Nodes

  @Test(arguments: Access.all) func onlyTheNodesExactNameMakesAnEndpointLocal(_ access: Access) throws {
    let service = ServiceManifest.clusterIP.with { $0.spec = ["internalTrafficPolicy": "Local"] }
    for name in [nil, "N1", "n2", "nowhere"] as [JSON] {
      try cluster.apply(services: [service], slices: [.init([.init("p11", fields: ["nodeName": name])])])
      #expect(try ask(access, count: 1) == .dropped, "\(name)")
    }
    try cluster.apply(services: [service], slices: [.init(["p11", .init("p12", fields: ["nodeName": nil])])])
    #expect(try ask(access) == .answered(by: ["p11"]))
  }

  @Test(arguments: Access.all) func endpointOutsideTheClusterWithThisNodesNameIsLocal(_ access: Access) throws {
    let outside = try EchoServer("outside", .tcp, port: 8080, in: cluster.client.namespace)
    let service = ServiceManifest.clusterIP.with { $0.spec = ["internalTrafficPolicy": "Local"] }
    try cluster.apply(services: [service], slices: [.init([.init("client", fields: ["nodeName": "n1"]), "p21"])])
    #expect(try ask(access) == .answered(by: ["outside"]))
    withExtendedLifetime(outside) {}
  }

  @Test(arguments: Access.all) func endpointWithoutNodeNameIsReached(_ access: Access) throws {
    let slices = EndpointSliceManifest([
      .init("p21", fields: ["nodeName": nil]), .init("p11", fields: ["nodeName": nil]),
    ])
    try cluster.apply(services: [.nodePort], slices: [slices])
    #expect(try ask(access) == .answered(by: ["p11", "p21"]))
    let port = SocketAddress(cluster.node(1)[access.family], 30080)
    #expect(try cluster.client.ask(port, count: 20).outcome == .answered(by: ["p11", "p21"]))
  }

  @Test(arguments: Access.all) func zonesOfEndpointsAreNotReadOnlyHintsAre(_ access: Access) throws {
    func inZones(_ hints: JSON?) -> EndpointSliceManifest {
      EndpointSliceManifest([
        .init("p11", hints: hints, fields: ["zone": "b"]), .init("p31", hints: hints, fields: ["zone": "a"]),
      ])
    }
    for hints in [nil, JSON.hints(zones: ["a", "b"])] {
      try cluster.apply(services: [.clusterIP], slices: [inZones(hints)])
      #expect(try ask(access) == .answered(by: ["p11", "p31"]))
    }
    let hinted: [EndpointSliceManifest.Endpoint] = [
      .init("p11", hints: .hints(zones: ["a", "b"])), .init("p31", hints: .hints(zones: ["b"])),
    ]
    try cluster.apply(services: [.clusterIP], slices: [.init(hinted)])
    #expect(try ask(access) == .answered(by: ["p11"]))
    #expect(try cluster.pod(3, 2).ask(.web, 80, access, count: 20).outcome == .answered(by: ["p11", "p31"]))
  }

  // MARK: - Ports

  @Test(arguments: Access.all) func portsAreJoinedByNameNeverByNumber(_ access: Access) throws {
    let named = ServiceManifest.clusterIP.with { $0.ports = [.init(80, name: "http")] }
    func slice(_ name: String) -> EndpointSliceManifest {
      EndpointSliceManifest(["p11"]) { $0.ports = [.port(8080, name: name)] }
    }
    try cluster.apply(services: [named], slices: [slice("http")])
    #expect(try ask(access, count: 3) == .answered(by: ["p11"]))
    // The port is renamed; the slice follows a moment later.
    let renamed = ServiceManifest.clusterIP.with { $0.ports = [.init(80, name: "web")] }
    try cluster.apply(services: [renamed], slices: [slice("http")])
    #expect(try ask(access, count: 1) == .refused)
    try cluster.apply(services: [renamed], slices: [slice("web")])
    #expect(try ask(access, count: 3) == .answered(by: ["p11"]))
    try cluster.apply(services: [.clusterIP], slices: [slice("web")])
    #expect(try ask(access, count: 1) == .refused)
  }

  @Test(arguments: Access.all) func targetPortIsTheSlicesAndMayDifferByEndpoint(_ access: Access) throws {
    let service = ServiceManifest.clusterIP.with {
      $0.ports = [.init(80, name: "http"), .init(9000, name: "metrics")]
      $0.spec = ["ports": [["port": 80, "name": "http", "targetPort": "web"], ["port": 9000, "name": "metrics"]]]
    }
    try cluster.apply(
      services: [service],
      slices: [
        .init(["p11"]) { $0.ports = [.port(8080, name: "http"), .port(9090, name: "metrics")] },
        .init(["p21"]) {
          ($0.suffix, $0.ports) = ("-2", [.port(9090, name: "metrics"), .port(8081, name: "http")])
        },
      ])
    let answers = try cluster.pod(1, 2).ask(.web, 80, access, count: 20)
    let (first, second) = (cluster.pod(1, 1)[access.family], cluster.pod(2, 1)[access.family])
    #expect(answers.targets == [SocketAddress(first, 8080), SocketAddress(second, 8081)])
    let metrics = try cluster.pod(1, 2).ask(.web, 9000, access, count: 20)
    #expect(metrics.targets == [SocketAddress(first, 9090), SocketAddress(second, 9090)])
  }

  @Test(
    arguments: Access.all,
    [
      ([["port": 8080]], false), ([["port": 8080, "name": nil]], false),
      ([["port": 8080, "name": "", "protocol": nil]], true),
      ([["port": nil, "name": ""]], false), ([["port": 0, "name": ""]], false), ([["name": ""]], false), ([], false),
      (nil, false), ([["port": 8080, "protocol": "UDP"]], false),
      ([["port": 0, "name": ""], ["port": 8080, "name": ""]], true),
    ] as [(JSON, Bool)])
  func portsWithoutNameOrNumberOrOfAnotherProtocolAreSkipped(_ access: Access, _ row: (ports: JSON, isUsed: Bool))
    throws
  {
    let slices = try EndpointSliceManifest(["p21"]).json(cluster.host).map { slice in
      var slice = slice
      slice["ports"] = row.ports
      return slice
    }
    try cluster.apply([ServiceManifest.clusterIP.json] + slices, allowingProblems: true)
    #expect(try ask(access, count: 2) == (row.isUsed ? .answered(by: ["p21"]) : .refused))
  }

  @Test(arguments: Access.all) func oneNumberMayBeTCPAndUDPWithEndpointsOfTheirOwn(_ access: Access) throws {
    let service = ServiceManifest.nodePort.with {
      $0.ports = [.init(80, name: "t", nodePort: 30080), .init(80, "UDP", name: "u", nodePort: 30080)]
    }
    let byUDP = EndpointSliceManifest(["p31"]) {
      ($0.suffix, $0.ports) = ("-u", [.port(8080, "UDP", name: "u")])
    }
    try cluster.apply(
      services: [service], slices: [.init(["p11", "p21"]) { $0.ports = [.port(8080, name: "t")] }, byUDP])
    let port = SocketAddress(cluster.node(1)[access.family], 30080)
    #expect(try ask(access) == .answered(by: ["p11", "p21"]))
    #expect(try ask(access, .udp) == .answered(by: ["p31"]))
    #expect(try cluster.client.ask(port, count: 20).outcome == .answered(by: ["p11", "p21"]))
    #expect(try cluster.client.ask(port, .udp, count: 5).outcome == .answered(by: ["p31"]))
    try cluster.apply(services: [service], slices: [byUDP])
    #expect(try ask(access, count: 1) == .refused)
    #expect(try ask(access, .udp, count: 3) == .answered(by: ["p31"]))
  }

  // MARK: - Several slices

  @Test(arguments: Access.all) func endpointInSeveralSlicesCountsOnce(_ access: Access) throws {
    let copies = (0..<4).map { copy in EndpointSliceManifest(["p11"]) { $0.suffix = "-\(copy)" } }
    try cluster.apply(services: [.clusterIP], slices: copies + [.init(["p21"])])
    let answers = try cluster.pod(1, 2).ask(.web, 80, access, count: 120)
    #expect(answers.outcome == .answered(by: ["p11", "p21"]))
    #expect((36...84).contains(answers.count(by: "p21")), "\(answers.count(by: "p21")) of 120")
  }

  @Test(arguments: Access.all) func copiesThatDisagreeAreLocalAndReadyIfAnyIs(_ access: Access) throws {
    let service = ServiceManifest.clusterIP.with { $0.spec = ["internalTrafficPolicy": "Local"] }
    let local = EndpointSliceManifest([.notReady("p11")])
    let ready = EndpointSliceManifest([.init("p11", fields: ["nodeName": nil])]) { $0.suffix = "-2" }
    try cluster.apply(services: [service], slices: [local, ready])
    #expect(try ask(access, count: 3) == .answered(by: ["p11"]))
  }

  @Test(arguments: Access.all) func slicesAndServicesMayComeInAnyOrderAndPiecemeal(_ access: Access) throws {
    try cluster.apply(slices: [.init(["p11"])])
    try cluster.apply(services: [.clusterIP], slices: [.init(["p11"])])
    #expect(try ask(access, count: 3) == .answered(by: ["p11"]))
    let second = EndpointSliceManifest(["p21"]) { $0.suffix = "-2" }
    try cluster.apply(services: [.clusterIP], slices: [.init(["p11"]), second])
    #expect(try ask(access) == .answered(by: ["p11", "p21"]))
    try cluster.apply(services: [.clusterIP], slices: [second])
    #expect(try ask(access, count: 5) == .answered(by: ["p21"]))
    try cluster.apply(services: [.clusterIP])
    #expect(try ask(access, count: 1) == .refused)
  }

  @Test(arguments: Access.all) func manyEndpointsInManySlicesAreAllUsed(_ access: Access) throws {
    // Three pods at four ports each in the company of two thousand that are not ready.
    let ports = ClusterHost.ports.map(Int.init)
    let service = ServiceManifest.clusterIP
    let used = ports.map { port in
      EndpointSliceManifest(["p11", "p21", "p31"]) { ($0.suffix, $0.ports) = ("-\(port)", [.port(port)]) }
    }
    let crowd: [JSON] = (0..<20).map { slice in
      [
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": [
          "name": "web-crowd-\(slice)", "namespace": "default", "labels": ["kubernetes.io/service-name": "web"],
        ],
        "endpoints": .list(
          (1...100).map { ["addresses": ["10.66.\(slice).\($0)"], "conditions": ["ready": false]] }),
        "ports": [.port(8080)],
      ]
    }
    try cluster.apply(services: [service], slices: used, others: crowd)
    let answers = try cluster.pod(1, 2).ask(.web, 80, access, count: 150)
    #expect(answers.outcome == .answered(by: ["p11", "p21", "p31"]))
    #expect(answers.targets.count == 12)
  }
}
