import BPFTesting
import MartletNetworking
import Testing

/// Policies of pods, on real connections.
@Suite(.requiresBPF, .cluster, .serialized) struct WorkloadPolicyTests {
  let cluster: Cluster

  init() throws { cluster = try Cluster.current }

  private func tcp(_ client: ClusterHost, _ server: ClusterHost, _ family: AddressFamily, _ port: UInt16 = 8080) throws
    -> Answers.Outcome
  {
    try client.ask(SocketAddress(server[family], port)).outcome
  }

  @Test(arguments: AddressFamily.allCases) func ingressAdmitsWhomAndWhatRulesName(_ family: AddressFamily) throws {
    let server = cluster.pod(2, 1)
    try cluster.apply([
      PolicyManifest.kubernetes(
        "web", pod: "p21",
        ["ingress": [["from": [["podSelector": ["matchLabels": ["pod": "p11"]]]], "ports": [["port": "http"]]]]])
    ])
    #expect(try tcp(cluster.pod(1, 1), server, family) == .answered(by: ["p21"]))
    #expect(try tcp(cluster.pod(1, 1), server, family, 8081) == .dropped)
    #expect(try tcp(cluster.pod(1, 2), server, family) == .dropped)
    #expect(try tcp(cluster.pod(2, 2), server, family) == .dropped)
    #expect(try tcp(cluster.client, server, family) == .dropped)
    #expect(try cluster.pod(1, 1).ask(SocketAddress(server[family], 8080), .udp).outcome == .dropped)
    // Its own node may always probe it, and other pods are nobody's business.
    #expect(try tcp(cluster.node(2), server, family) == .answered(by: ["p21"]))
    #expect(try tcp(cluster.pod(1, 2), cluster.pod(2, 2), family) == .answered(by: ["p22"]))
  }

  @Test(arguments: AddressFamily.allCases) func egressLeavesOutWhatIsExcepted(_ family: AddressFamily) throws {
    let all = family == .ipv4 ? "0.0.0.0/0" : "::/0"
    let excepted = PolicyManifest.block(cluster.pod(2, 2)[family])
    try cluster.apply([
      PolicyManifest.kubernetes(
        "out", pod: "p11",
        [
          "policyTypes": ["Egress"],
          "egress": [["to": [["ipBlock": ["cidr": .string(all), "except": [.string(excepted)]]]]]],
        ])
    ])
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .answered(by: ["p21"]))
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 2), family) == .dropped)
    #expect(try tcp(cluster.pod(2, 2), cluster.pod(1, 1), family) == .answered(by: ["p11"]))
  }

  @Test(arguments: AddressFamily.allCases) func policySeesTheClientThroughNodePortOfAnotherNode(
    _ family: AddressFamily
  ) throws {
    func admit(_ address: IPAddress) throws {
      let policy = PolicyManifest.kubernetes(
        "web", pod: "p21", ["ingress": [["from": [["ipBlock": ["cidr": .string(PolicyManifest.block(address))]]]]]])
      try cluster.apply(services: [.nodePort], slices: [.init(["p21"])], others: [policy])
    }
    let port = SocketAddress(cluster.node(1)[family], 30080)
    try admit(cluster.client[family])
    let answers = try cluster.client.ask(port)
    #expect(answers.outcome == .answered(by: ["p21"]))
    #expect(answers.peers == [cluster.client[family]])
    try admit(cluster.node(1)[family])
    #expect(try cluster.client.ask(port).outcome == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func portsOfPoliciesAreThoseOfEndpoints(_ family: AddressFamily) throws {
    let policy = PolicyManifest.kubernetes("web", pod: "p21", ["ingress": [["ports": [["port": 80]]]]])
    try cluster.apply(services: [.clusterIP], slices: [.init(["p21"])], others: [policy])
    #expect(try cluster.pod(1, 1).ask(.web, 80, .packets(family)).outcome == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func tiersPassOnAndEndWithDeny(_ family: AddressFamily) throws {
    typealias Rules = PolicyManifest
    try cluster.apply([
      Rules.tier("first", order: 1),
      Rules.global(
        "first.a", order: 1, selector: "pod == 'p21'",
        [
          "tier": "first", "types": ["Ingress"],
          "ingress": [Rules.rule("Log"), Rules.rule("Deny", tcp: 8081), Rules.rule("Pass", tcp: 8080)],
        ]),
      Rules.global(
        "later", order: 1, selector: "pod == 'p21'",
        ["types": ["Ingress"], "ingress": [Rules.rule("Allow", source: ["selector": "pod == 'p11'"])]]),
    ])
    let server = cluster.pod(2, 1)
    #expect(try tcp(cluster.pod(1, 1), server, family) == .answered(by: ["p21"]))
    #expect(try tcp(cluster.pod(1, 1), server, family, 8081) == .dropped)
    #expect(try tcp(cluster.pod(1, 1), server, family, 9090) == .dropped)
    #expect(try tcp(cluster.pod(1, 2), server, family) == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func networkSetsStandForTheirAddresses(_ family: AddressFamily) throws {
    typealias Rules = PolicyManifest
    let policy = Rules.global(
      "outside", order: 1, selector: "pod == 'p21'",
      ["types": ["Ingress"], "ingress": [Rules.rule("Allow", source: ["selector": "role == 'outside'"])]])
    let nets = cluster.client.address.both.map(Rules.block)
    try cluster.apply([policy, Rules.networkSet("outside", role: "outside", nets)])
    #expect(try tcp(cluster.client, cluster.pod(2, 1), family) == .answered(by: ["p21"]))
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .dropped)
    try cluster.apply([policy, Rules.networkSet("outside", role: "outside", [])])
    #expect(try tcp(cluster.client, cluster.pod(2, 1), family) == .dropped)
  }

  @Test(arguments: AddressFamily.allCases) func runningConnectionsAreJudgedAgain(_ family: AddressFamily) throws {
    try cluster.apply([])
    let connections = try [cluster.pod(1, 1), cluster.client, cluster.pod(2, 2)].map {
      try $0.connect(to: SocketAddress(cluster.pod(2, 1)[family], 8080), timeout: .milliseconds(400))
    }
    #expect(connections.map { $0.exchange().reply?.server } == ["p21", "p21", "p21"])
    let only = PolicyManifest.kubernetes(
      "only", pod: "p21", ["ingress": [["from": [["podSelector": ["matchLabels": ["pod": "p11"]]]]]]])
    try cluster.apply([only])
    #expect(connections.map { $0.exchange().reply?.server } == ["p21", nil, nil])
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .answered(by: ["p21"]))
  }

  @Test(arguments: AddressFamily.allCases) func podThatIsNotThereYetIsNotReached(_ family: AddressFamily) throws {
    var finished = cluster.podObject(cluster.pod(2, 1))
    finished["status"] = ["phase": "Succeeded"]
    try cluster.apply([finished])
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .dropped)
    #expect(try tcp(cluster.client, cluster.pod(2, 1), family) == .dropped)
    #expect(try tcp(cluster.pod(2, 1), cluster.pod(1, 1), family) == .dropped)
    try cluster.apply([])
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .answered(by: ["p21"]))
  }

  @Test(arguments: AddressFamily.allCases) func agentsEndLeavesPoliciesInForce(_ family: AddressFamily) throws {
    try cluster.apply([PolicyManifest.kubernetes("closed", pod: "p21", [:])])
    let running = try cluster.pod(1, 1).connect(to: SocketAddress(cluster.pod(2, 2)[family], 8080))
    #expect(running.exchange().reply?.server == "p22")
    cluster.nodes[1].stop()
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .dropped)
    try cluster.start(cluster.nodes[1])
    #expect(try tcp(cluster.pod(1, 1), cluster.pod(2, 1), family) == .dropped)
    #expect(running.exchange().reply?.server == "p22")
  }
}
