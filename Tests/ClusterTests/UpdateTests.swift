import BPFTesting
import MartletNetworking
import Testing

/// Changes under way, and agents that come and go.
@Suite(.requiresBPF, .cluster, .serialized) struct UpdateTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  /// Three connections that are in use before a change: by the cluster IP from a pod, by a node port from outside to a
  /// pod of that node, and to one of another.
  private struct Connections {
    let all: [EchoConnection]

    init(_ cluster: Cluster, _ family: AddressFamily) throws {
      all = [
        try cluster.pod(1, 2).connect(to: SocketAddress(DualAddress.web[family], 80)),
        try cluster.client.connect(to: SocketAddress(cluster.node(2)[family], 30080)),
        try cluster.client.connect(to: SocketAddress(cluster.node(1)[family], 30080)),
      ]
    }

    /// Whom they are with, as the server says; `nil` where one is broken.
    func servers() -> [String?] { all.map { $0.exchange().reply?.server } }
  }

  // MARK: - Endpoints

  @Test(arguments: AddressFamily.allCases) func connectionsToRemovedEndpointsAreLeftAlone(_ family: AddressFamily)
    throws
  {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let connections = try Connections(cluster, family)
    #expect(connections.servers() == ["p21", "p21", "p21"])
    for endpoints in [[.terminating("p21"), "p11"], [.finished("p21"), "p11"], ["p11"], []]
      as [[EndpointSliceManifest.Endpoint]]
    {
      try cluster.apply(services: [.nodePort], slices: [.init(endpoints)])
      #expect(connections.servers() == ["p21", "p21", "p21"])
    }
    #expect(try cluster.pod(1, 2).ask(.web, 80, .packets(family)).outcome == .refused)
  }

  @Test(arguments: Access.all) func noConnectionFailsWhileEndpointsReplaceEachOther(_ access: Access) async throws {
    let rounds = 20
    try cluster.apply(services: [.nodePort], slices: [.init(["p11"])])
    async let byClusterIP = Self.ask(
      cluster.pod(1, 2), SocketAddress(DualAddress.web[access.family], 80), access.balancing, times: 150)
    async let byNodePort = Self.ask(
      cluster.client, SocketAddress(cluster.node(1)[access.family], 30080), .packets, times: 150)
    for round in 0..<rounds {
      try cluster.apply(services: [.nodePort], slices: [.init([round % 2 == 0 ? "p21" : "p11"])])
      await Task.yield()
    }
    Self.expectAnswers(try await byClusterIP)
    // Two nodes do not change at one moment: what the first sends the second has an endpoint no longer, or not yet. The
    // client asks again after a second, and another endpoint is chosen.
    Self.expectAnswers(try await byNodePort)
  }

  @Test(arguments: AddressFamily.allCases) func openingSentAgainReachesTheEndpointThatIsThereNow(
    _ family: AddressFamily
  ) async throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p11"])])
    cluster.nodes[1].stop()
    // The second node has not been told, and drops what the first one sends it.
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    async let answers = Self.ask(
      cluster.client, SocketAddress(cluster.node(1)[family], 30080), .packets, times: 1)
    try await Task.sleep(for: .milliseconds(300))
    try cluster.apply(services: [.nodePort], slices: [.init(["p11"])])
    #expect(try await answers.outcome == .answered(by: ["p11"]))
    try cluster.start(cluster.nodes[1])
  }

  private static func expectAnswers(_ answers: Answers) {
    guard case .answered(let servers) = answers.outcome else {
      Issue.record("\(answers.outcome)")
      return
    }
    #expect(servers.isSubset(of: ["p11", "p21"]))
  }

  @concurrent private static func ask(
    _ client: ClusterHost, _ destination: SocketAddress, _ balancing: Access.Balancing, times: Int
  ) async throws -> Answers {
    try client.ask(destination, count: times, balancing: balancing)
  }

  @Test(arguments: AddressFamily.allCases) func slicesThatChangeNamesOnlyChangeNothing(_ family: AddressFamily) throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p11", "p21"])])
    let connections = try Connections(cluster, family)
    let before = connections.servers()
    for round in 0..<3 {
      try cluster.apply(services: [.nodePort], slices: [.init(["p11", "p21"]) { $0.suffix = "-\(round)" }])
      #expect(connections.servers() == before)
    }
    #expect(
      try cluster.pod(1, 2).ask(.web, 80, .packets(family), count: 20).outcome == .answered(by: ["p11", "p21"]))
  }

  @Test(arguments: AddressFamily.allCases) func annotationsAreFollowedWhileConnectionsGoOn(_ family: AddressFamily)
    throws
  {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let connections = try Connections(cluster, family)
    #expect(connections.servers() == ["p21", "p21", "p21"])
    for annotations in [
      ["martlet.dev/forwarding": "dsr"], ["martlet.dev/forwarding": "tunnel", "martlet.dev/load-balancing": "maglev"],
      ["martlet.dev/forwarding": "dsr", "martlet.dev/load-balancing": "maglev"], [:],
    ] as [[String: JSON]] {
      try cluster.apply(services: [.nodePort.with { $0.annotations = annotations }], slices: [.init(["p21"])])
      #expect(connections.servers() == ["p21", "p21", "p21"], "\(annotations)")
      let answers = try cluster.client.ask(cluster.node(1).address, 30080, .packets(family), count: 5)
      #expect(answers.outcome == .answered(by: ["p21"]), "\(annotations)")
      #expect(answers.peers == [cluster.client[family]])
    }
  }

  // MARK: - Services

  @Test(arguments: Access.all) func fullReplacementOfManyServicesLeavesNoneUnknown(_ access: Access) async throws {
    func crowd(_ round: Int) -> [ServiceManifest] {
      (0..<60).map { number in
        ServiceManifest.clusterIP.with {
          $0.name = "crowd-\(round)-\(number)"
          $0.clusterIPs = DualAddress("10.96.1.\(number)", "fd96::1:\(number)").both
        }
      }
    }
    let stays = EndpointSliceManifest(["p11", "p21"])
    try cluster.apply(services: [.clusterIP] + crowd(0), slices: [stays])
    async let answers = Self.ask(
      cluster.pod(1, 2), SocketAddress(DualAddress.web[access.family], 80), access.balancing, times: 150)
    for round in 1...3 {
      try cluster.apply(services: [.clusterIP] + crowd(round), slices: [stays])
      await Task.yield()
    }
    #expect(try await answers.outcome == .answered(by: ["p11", "p21"]))
    #expect(
      try cluster.pod(1, 2).ask(DualAddress("10.96.1.7", "fd96::1:7"), 80, access).outcome == .refused,
      "a service of the crowd has no endpoints")
  }

  @Test(arguments: Access.all) func manifestInYAMLIsTheSame(_ access: Access) throws {
    let pod = cluster.pod(2, 1)[access.family]
    try cluster.apply(
      yaml: """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: default}
        spec:
          clusterIP: "\(DualAddress.web[access.family])"
          ports: [{port: 80, targetPort: http}]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: web-x
          labels: {kubernetes.io/service-name: web}
        addressType: \(access.family.rawValue)
        endpoints:
        - addresses: ["\(pod)"]
          nodeName: n2
        ports: [{port: 8080, name: ""}]
        """)
    #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 3).outcome == .answered(by: ["p21"]))
  }

  // MARK: - Agents

  @Test(arguments: AddressFamily.allCases) func packetsFlowWhileTheAgentIsAwayAndWhenItIsBack(_ family: AddressFamily)
    throws
  {
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])])
    let connections = try Connections(cluster, family)
    #expect(connections.servers() == ["p21", "p21", "p21"])
    for node in cluster.nodes { node.stop() }
    #expect(connections.servers() == ["p21", "p21", "p21"])
    for access in Access.all where access.family == family {
      #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 3).outcome == .answered(by: ["p21"]))
    }
    #expect(
      try cluster.client.ask(cluster.node(1).address, 30080, .packets(family), count: 3).outcome
        == .answered(by: ["p21"]))
    for node in cluster.nodes {
      try cluster.start(node)
      #expect(connections.servers() == ["p21", "p21", "p21"], "\(node.name) is back")
    }
    for access in Access.all where access.family == family {
      #expect(try cluster.pod(1, 2).ask(.web, 80, access, count: 3).outcome == .answered(by: ["p21"]))
    }
  }

  @Test(arguments: Access.all) func whatChangedWhileTheAgentWasAwayIsMadeUpFor(_ access: Access) throws {
    let gone = ServiceManifest.nodePort.with {
      ($0.name, $0.clusterIPs, $0.ports) = ("other", DualAddress.other.both, [.init(80, nodePort: 30081)])
    }
    let endpoints = EndpointSliceManifest(["p11"])
    let others = EndpointSliceManifest(["p31"]) { $0.service = "other" }
    try cluster.apply(services: [.nodePort, gone], slices: [endpoints, others])
    for node in cluster.nodes { node.stop() }
    try cluster.apply(services: [.clusterIP], slices: [.init(["p21"])])
    let pod = cluster.pod(1, 2)
    #expect(try pod.ask(.web, 80, access, count: 3).outcome == .answered(by: ["p11"]), "nobody has been told")
    #expect(try pod.ask(.other, 80, access, count: 3).outcome == .answered(by: ["p31"]))
    for node in cluster.nodes { try cluster.start(node) }
    #expect(try pod.ask(.web, 80, access, count: 6).outcome == .answered(by: ["p21"]))
    #expect(try pod.ask(.other, 80, access).outcome == .dropped, "its address is not allocated any more")
    #expect(try cluster.client.ask(cluster.node(1).address, 30080, access).outcome == .refused)
    #expect(try cluster.client.ask(cluster.node(1).address, 30081, access).outcome == .refused)
  }

  @Test(arguments: Access.all) func noConnectionFailsWhileAgentsRestart(_ access: Access) async throws {
    try cluster.apply(services: [.nodePort], slices: [.init(["p11", "p21"])])
    async let byClusterIP = Self.ask(
      cluster.pod(1, 2), SocketAddress(DualAddress.web[access.family], 80), access.balancing, times: 150)
    async let byNodePort = Self.ask(
      cluster.client, SocketAddress(cluster.node(1)[access.family], 30080), .packets, times: 150)
    for node in cluster.nodes {
      node.stop()
      try cluster.start(node)
      await Task.yield()
    }
    #expect(try await byClusterIP.outcome == .answered(by: ["p11", "p21"]))
    #expect(try await byNodePort.outcome == .answered(by: ["p11", "p21"]))
  }
}
