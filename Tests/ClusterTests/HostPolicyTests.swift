import BPFTesting
import MartletDataPlane
import MartletNetworking
import Testing

/// Policies of node 1's interface to the network, on real connections.
@Suite(.requiresBPF, .cluster, .serialized) struct HostPolicyTests {
  typealias Rules = PolicyManifest
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private func tcp(_ client: ClusterHost, _ server: ClusterHost, _ family: AddressFamily, _ port: UInt16 = 8080) throws
    -> Answers.Outcome
  {
    try client.ask(SocketAddress(server[family], port)).outcome
  }

  private func policy(_ name: String, _ spec: JSON) -> JSON {
    Rules.global(name, order: 1, selector: "host == 'n1'", spec)
  }

  @Test(arguments: AddressFamily.allCases) func hostIsClosedButForWhatIsAllowedAndFailsafe(
    _ family: AddressFamily
  ) throws {
    let shell = try EchoServer("n1", .tcp, port: 22, in: cluster.node(1).namespace)
    defer { withExtendedLifetime(shell) {} }
    try cluster.apply([
      Rules.hostEndpoint, policy("in", ["types": ["Ingress"], "ingress": [Rules.rule("Allow", tcp: 8081)]]),
    ])
    let host = cluster.node(1)
    #expect(try tcp(cluster.client, host, family) == .dropped)
    #expect(try tcp(cluster.client, host, family, 8081) == .answered(by: ["n1"]))
    #expect(try tcp(cluster.client, host, family, 22) == .answered(by: ["n1"]))
    #expect(try tcp(cluster.pod(2, 1), host, family) == .dropped)
    #expect(try tcp(host, cluster.node(2), family) == .dropped)
    // What goes through it, and what goes between it and its own pods, is another matter.
    #expect(try tcp(cluster.client, cluster.pod(1, 1), family) == .answered(by: ["p11"]))
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .answered(by: ["p21"]))
    #expect(try tcp(host, cluster.pod(1, 1), family) == .answered(by: ["p11"]))
    #expect(try tcp(cluster.pod(1, 1), host, family) == .dropped)
    #expect(try tcp(cluster.client, cluster.node(2), family) == .answered(by: ["n2"]))
  }

  @Test(arguments: AddressFamily.allCases) func forwardedTrafficIsUnderPoliciesThatSaySo(_ family: AddressFamily) throws
  {
    try cluster.apply([
      Rules.hostEndpoint,
      policy(
        "through",
        [
          "applyOnForward": true, "types": ["Ingress"],
          "ingress": [Rules.rule("Deny", tcp: 8081), Rules.rule("Allow")],
        ]),
    ])
    #expect(try tcp(cluster.client, cluster.pod(1, 1), family, 8081) == .dropped)
    #expect(try tcp(cluster.client, cluster.pod(1, 1), family) == .answered(by: ["p11"]))
    #expect(try tcp(cluster.client, cluster.pod(2, 1), family, 8081) == .answered(by: ["p21"]))
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family, 8081) == .answered(by: ["p21"]))
  }

  @Test(arguments: AddressFamily.allCases) func policiesBeforeTranslationSeeNodePorts(_ family: AddressFamily) throws {
    let closed = policy(
      "ports",
      ["preDNAT": true, "applyOnForward": true, "types": ["Ingress"], "ingress": [Rules.rule("Deny", tcp: 30080)]])
    try cluster.apply(services: [.nodePort], slices: [.init(["p11"])], others: [Rules.hostEndpoint, closed])
    #expect(try cluster.client.ask(SocketAddress(cluster.node(1)[family], 30080)).outcome == .dropped)
    #expect(
      try cluster.client.ask(SocketAddress(cluster.node(2)[family], 30080)).outcome == .answered(by: ["p11"]))
    #expect(try tcp(cluster.client, cluster.pod(1, 1), family) == .answered(by: ["p11"]))
  }

  @Test(arguments: AddressFamily.allCases) func whatComesThroughTheTunnelComesInByTheInterface(_ family: AddressFamily)
    throws
  {
    let nodePort = SocketAddress(cluster.node(2)[family], 30080)
    let closed = policy("in", ["types": ["Ingress"], "ingress": [Rules.rule("Allow", tcp: 8081)]])
    let through = policy(
      "through",
      ["applyOnForward": true, "types": ["Ingress"], "ingress": [Rules.rule("Deny", tcp: 8080), Rules.rule("Allow")]])
    for (backend, rules) in [("n1", closed), ("p11", through)] {
      try cluster.apply(services: [.nodePort], slices: [.init([.init(backend)])])
      #expect(try cluster.client.ask(nodePort).outcome == .answered(by: [backend]))
      try cluster.apply(services: [.nodePort], slices: [.init([.init(backend)])], others: [Rules.hostEndpoint, rules])
      #expect(try cluster.client.ask(nodePort).outcome == .dropped, "\(backend)")
      let open = EndpointSliceManifest([.init(backend)]) { $0.ports = [.port(8081)] }
      try cluster.apply(services: [.nodePort], slices: [open], others: [Rules.hostEndpoint, rules])
      #expect(try cluster.client.ask(nodePort).outcome == .answered(by: [backend]), "\(backend)")
    }
  }

  @Test(arguments: AddressFamily.allCases) func whatLeavesThroughTheTunnelLeavesByTheInterface(_ family: AddressFamily)
    throws
  {
    let closed = policy(
      "out",
      ["applyOnForward": true, "types": ["Egress"], "egress": [Rules.rule("Deny", tcp: 8080), Rules.rule("Allow")]])
    try cluster.apply(services: [.nodePort], slices: [.init(["p21"])], others: [Rules.hostEndpoint, closed])
    #expect(try cluster.client.ask(SocketAddress(cluster.node(1)[family], 30080)).outcome == .dropped)
    #expect(try cluster.client.ask(SocketAddress(cluster.node(3)[family], 30080)).outcome == .answered(by: ["p21"]))
  }

  @Test(arguments: AddressFamily.allCases) func untrackedFloodLeavesNothingBehind(_ family: AddressFamily) throws {
    try cluster.apply([
      Rules.hostEndpoint,
      policy(
        "flood",
        ["doNotTrack": true, "applyOnForward": true, "types": ["Ingress"], "ingress": [Rules.rule("Deny", tcp: 5353)]]),
      Rules.global(
        "open", order: 2, selector: "host == 'n1'", ["types": ["Ingress"], "ingress": [Rules.rule("Allow")]]),
    ])
    let target = SocketAddress(cluster.node(1)[family], 5353)
    for _ in 0..<20 {
      let connection = try? cluster.client.connect(to: target, timeout: .milliseconds(5))
      _ = connection?.exchange()
    }
    let flows = try cluster.nodes[0].run { try $0.maps.readFlows() } ?? []
    #expect(flows.filter { $0.destination == "\(target)" } == [])
    let counters = try cluster.nodes[0].run { try $0.maps.readCounters() } ?? []
    #expect(counters.contains { $0.name == "drop_host_policy" && $0.packets >= 20 })
    #expect(try tcp(cluster.client, cluster.node(1), family) == .answered(by: ["n1"]))
  }
}

/// Host endpoints that nobody has written, and senders that are not heard.
@Suite(
  .requiresBPF,
  .cluster {
    $0.configuration.automaticHostEndpoints = true
    $0.blockedSources = [IPPrefix(IPAddress(192, 168, 50, 99))]
  }, .serialized)
struct AutomaticHostEndpointTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  @Test(arguments: AddressFamily.allCases) func theyChangeNothingUntilAPolicySelectsThem(_ family: AddressFamily) throws
  {
    func ask(_ client: ClusterHost, _ server: ClusterHost) throws -> Answers.Outcome {
      try client.ask(SocketAddress(server[family], 8080)).outcome
    }
    try cluster.apply([])
    for (client, server) in [
      (cluster.client, cluster.node(1)), (cluster.client, cluster.pod(1, 1)), (cluster.pod(1, 1), cluster.node(1)),
      (cluster.pod(1, 1), cluster.pod(2, 1)), (cluster.node(1), cluster.pod(2, 1)), (cluster.node(1), cluster.node(2)),
    ] {
      #expect(try ask(client, server) == .answered(by: [server.name]), "\(client.name) to \(server.name)")
    }
    let closed = PolicyManifest.global(
      "closed", order: 1, selector: "topology.kubernetes.io/zone == 'b'",
      ["types": ["Ingress"], "ingress": [PolicyManifest.rule("Deny", tcp: 8080), PolicyManifest.rule("Allow")]])
    try cluster.apply([closed])
    #expect(try ask(cluster.client, cluster.node(3)) == .dropped)
    #expect(try ask(cluster.client, cluster.node(1)) == .answered(by: ["n1"]))
    #expect(try ask(cluster.client, cluster.pod(3, 1)) == .answered(by: ["p31"]))
  }

  @Test func blockedSendersAreNotHeard() throws {
    try cluster.apply([])
    try cluster.client.namespace.ip("address add 192.168.50.99/24 dev eth0")
    defer { try? cluster.client.namespace.ip("address del 192.168.50.99/24 dev eth0") }
    let target = SocketAddress(cluster.pod(1, 1)[.ipv4], 8080)
    let blocked = try cluster.client.ask(target, from: SocketAddress(IPAddress(192, 168, 50, 99), 0))
    #expect(blocked.outcome == .dropped)
    #expect(try cluster.client.ask(target).outcome == .answered(by: ["p11"]))
  }
}
