import BPFTesting
import Dispatch
import MartletNetworking
import Synchronization
import Testing

/// Session affinity by client address: what it sticks to, for how long, and when it lets go.
@Suite(.requiresBPF, .cluster, .serialized) struct SessionAffinityTests {
  let cluster: Cluster
  private static let all: [EndpointSliceManifest.Endpoint] = ["p11", "p21", "p31"]

  init() throws {
    cluster = try Cluster.current
    // Forgets what the test before has made stick.
    try cluster.apply()
  }

  private static func sticky(_ seconds: Int = 100, _ change: (inout ServiceManifest) -> Void = { _ in })
    -> ServiceManifest
  {
    ServiceManifest.nodePort.with {
      $0.spec = [
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": ["clientIP": ["timeoutSeconds": .number(seconds)]],
      ]
      change(&$0)
    }
  }

  private static let stickyUDP = sticky { $0.ports = [.init(80, "UDP", nodePort: 30080)] }
  private static let allUDP = EndpointSliceManifest(all) { $0.ports = [.port(8080, "UDP")] }

  /// Who answers all of a number of requests.
  private func only(
    _ client: ClusterHost, _ address: DualAddress = .web, _ port: UInt16 = 80, _ access: Access,
    _ number: L4Protocol = .tcp, isConnected: Bool = true
  ) throws -> String {
    let answers = try client.ask(
      SocketAddress(address[access.family], port), number, count: 12, balancing: access.balancing,
      isConnected: isConnected)
    try #require(answers.outcome == .answered(by: answers.servers) && answers.servers.count == 1, "\(answers)")
    return try #require(answers.servers.first)
  }

  @Test(arguments: Access.all) func clientStaysByClusterIPAndNodePortAlike(_ access: Access) throws {
    try cluster.apply(services: [Self.sticky()], slices: [.init(Self.all)])
    for client in [cluster.pod(1, 2), cluster.node(1)] {
      let chosen = try only(client, access)
      #expect(try only(client, cluster.node(1).address, 30080, access) == chosen, "\(client.name)")
    }
    let outside = try only(cluster.client, cluster.node(1).address, 30080, .packets(access.family))
    #expect(try only(cluster.client, cluster.node(1).address, 30080, .packets(access.family)) == outside)
  }

  @Test(arguments: Access.all) func udpClientStays(_ access: Access) throws {
    try cluster.apply(services: [Self.stickyUDP], slices: [Self.allUDP])
    _ = try only(cluster.pod(1, 2), access, .udp)
  }

  /// A socket that is given its backend as it connects, one as it sends, and one whose packets are.
  private static let kinds: [(balancing: Access.Balancing, isConnected: Bool)] = [
    (.sockets, true), (.sockets, false), (.packets, true),
  ]

  @Test(arguments: AddressFamily.allCases)
  func `A client stays by sockets and packets alike, whichever come first`(_ family: AddressFamily) throws {
    for first in Self.kinds.indices {
      try cluster.apply()
      try cluster.apply(services: [Self.stickyUDP], slices: [Self.allUDP])
      let kinds = Self.kinds[first...] + Self.kinds[..<first]
      for client in [cluster.pod(1, 2), cluster.pod(1, 3), cluster.node(1)] {
        var chosen: Set<String> = []
        for (balancing, isConnected) in kinds {
          let access = Access(family: family, balancing: balancing)
          for (address, port) in [(DualAddress.web, UInt16(80)), (cluster.node(1).address, 30080)] {
            chosen.insert(try only(client, address, port, access, .udp, isConnected: isConnected))
          }
        }
        #expect(chosen.count == 1, "\(client.name), \(kinds[kinds.startIndex]) first: \(chosen)")
      }
    }
  }

  @Test(arguments: AddressFamily.allCases)
  func `Connections of one client that open at once agree`(_ family: AddressFamily) throws {
    for _ in 0..<10 {
      try cluster.apply()
      try cluster.apply(services: [Self.stickyUDP], slices: [Self.allUDP])
      for pod in cluster.pods {
        // Their first datagrams are when they are given a backend.
        let sockets = try (0..<8).map { index in
          try pod.connect(
            .udp, to: SocketAddress(DualAddress.web[family], 80), balancing: index % 4 < 2 ? .sockets : .packets,
            isConnected: index % 4 >= 2)
        }
        let servers = atOnce(sockets) { $0.exchange().reply?.server }
        #expect(servers.count == 1 && !servers.contains(nil), "\(pod.name): \(servers)")
      }
    }
  }

  /// What comes of `body` for each of `values`, of which half is for one processor and half for another: they begin at
  /// the same moment.
  private func atOnce<Value: Sendable, Result: Hashable & Sendable>(
    _ values: [Value], _ body: @Sendable (Value) -> Result
  ) -> Set<Result> {
    let results = Mutex<Set<Result>>([])
    let ready = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 2) { half in
      ready.add(1, ordering: .acquiringAndReleasing)
      let patience = ContinuousClock.now + .milliseconds(100)
      while ready.load(ordering: .acquiring) < 2, ContinuousClock.now < patience {}
      for index in stride(from: half, to: values.count, by: 2) {
        let result = body(values[index])
        results.withLock { _ = $0.insert(result) }
      }
    }
    return results.withLock { $0 }
  }

  private func only(_ client: ClusterHost, _ access: Access, _ number: L4Protocol = .tcp) throws -> String {
    try only(client, .web, 80, access, number)
  }

  @Test(arguments: AddressFamily.allCases) func portsOfAServiceStickIndependently(_ family: AddressFamily) throws {
    let service = Self.sticky { $0.ports = [.init(80, name: "a"), .init(81, name: "b")] }
    let slice = EndpointSliceManifest(["p11", "p21"]) { $0.ports = [.port(8080, name: "a"), .port(8081, name: "b")] }
    try cluster.apply(services: [service], slices: [slice])
    let pairs = try cluster.pods.map { pod in
      [try only(pod, .web, 80, .packets(family)), try only(pod, .web, 81, .packets(family))]
    }
    // Nine pods agree by chance once in 512 runs; that they all differ is as rare.
    #expect(Set(pairs.map { $0[0] == $0[1] }) == [true, false])
  }

  @Test(arguments: Access.all) func newConnectionsRestartTheTimer(_ access: Access) async throws {
    try cluster.apply(services: [Self.sticky(2)], slices: [.init(Self.all)])
    let pod = cluster.pod(1, 2)
    let chosen = try only(pod, access)
    for _ in 0..<4 {
      try await Task.sleep(for: .seconds(1))
      #expect(try only(pod, access) == chosen)
    }
  }

  @Test(arguments: Access.all) func loweredTimeoutAppliesToTheNextLookup(_ access: Access) async throws {
    let pods = cluster.pods
    try cluster.apply(services: [Self.sticky(100)], slices: [.init(Self.all)])
    let before = try pods.map { try only($0, access) }
    try await Task.sleep(for: .milliseconds(1_200))
    try cluster.apply(services: [Self.sticky(1)], slices: [.init(Self.all)])
    // Nine new choices of three are the same ones once in twenty thousand runs.
    #expect(try pods.map { try only($0, access) } != before)
  }

  @Test(arguments: Access.all) func affinityBeginsAndEndsAtRunTime(_ access: Access) throws {
    let pod = cluster.pod(1, 2)
    let names = Set(Self.all.map(\.host))
    for _ in 0..<2 {
      try cluster.apply(services: [.nodePort], slices: [.init(Self.all)])
      #expect(try pod.ask(.web, 80, access, count: 40).outcome == .answered(by: names))
      try cluster.apply(services: [Self.sticky()], slices: [.init(Self.all)])
      _ = try only(pod, access)
    }
  }

  @Test(arguments: Access.all) func unusableBackendIsLetGo(_ access: Access) throws {
    let pod = cluster.pod(1, 2)
    for replacement in [EndpointSliceManifest.Endpoint.terminating, EndpointSliceManifest.Endpoint.notReady] {
      try cluster.apply(services: [Self.sticky()], slices: [.init(Self.all)])
      let chosen = try only(pod, access)
      let others = Self.all.filter { $0.host != chosen }
      try cluster.apply(services: [Self.sticky()], slices: [.init(others + [replacement(chosen)])])
      #expect(try only(pod, access) != chosen)
    }
  }

  @Test(arguments: Access.all) func backendThatTerminatesAloneIsKept(_ access: Access) throws {
    try cluster.apply(services: [Self.sticky()], slices: [.init(Self.all)])
    let chosen = try only(cluster.pod(1, 2), access)
    try cluster.apply(services: [Self.sticky()], slices: [.init([.terminating(chosen)])])
    #expect(try only(cluster.pod(1, 2), access) == chosen)
  }

  @Test(arguments: AddressFamily.allCases) func localPolicyGoesBeforeAffinity(_ family: AddressFamily) throws {
    let service = Self.sticky {
      $0.spec = $0.spec.merging(["externalTrafficPolicy": "Local"])
    }
    try cluster.apply(services: [service], slices: [.init(Self.all)])
    for node in 1...3 {
      #expect(try only(cluster.client, cluster.node(node).address, 30080, .packets(family)) == "p\(node)1")
    }
  }

  @Test(arguments: AddressFamily.allCases) func clientFromOutsideStaysWithABackendOnAnotherNode(
    _ family: AddressFamily
  ) throws {
    let backends: [EndpointSliceManifest.Endpoint] = ["p21", "p22", "p31", "p32"]
    try cluster.apply(services: [Self.sticky()], slices: [.init(backends)])
    let address = cluster.node(1).address
    let chosen = try only(cluster.client, address, 30080, .packets(family))
    try cluster.apply(services: [Self.sticky()], slices: [.init(backends.filter { $0.host != chosen })])
    #expect(try only(cluster.client, address, 30080, .packets(family)) != chosen)
  }
}
