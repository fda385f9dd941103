import MartletModel
import MartletNetworking
import MartletPolicy
import Testing

/// What policies mean, one rule of the trade a test. Every question is put to the objects as well.
@Suite struct SemanticsTests {
  // MARK: - Tiers, profiles

  @Test func `Without policies a workload may send and receive everything`() {
    let bench = PolicyBench()
    #expect(bench.ask() == .allow)
    #expect(bench.ask6(.client, .sctp) == .allow)
    #expect(bench.ask(.server, L4Protocol(rawValue: 47), port: 0) == .allow)
  }

  @Test func `A policy isolates in the directions that it names, whether it has rules for them or not`() {
    let bench = PolicyBench()
    bench.set(.rules([]))
    #expect(bench.ask() == .deny)
    #expect(bench.ask6() == .deny)
    #expect(bench.ask(.client) == .allow)
    bench.remove(Resource.key("p"))
    #expect(bench.ask() == .allow)
  }

  @Test func `Rules of a direction that a policy does not name are nothing`() {
    let bench = PolicyBench()
    bench.set(.rules([PolicyRule(.deny)]) { $0.directions = [.egress] })
    #expect(bench.ask() == .allow)
  }

  @Test func `Policies of a tier go by order, then by name, those without an order last`() {
    let bench = PolicyBench()
    bench.set(.rules(of: "b", [PolicyRule(.deny)]), .rules(of: "a", [PolicyRule(.allow)]))
    #expect(bench.ask() == .allow)
    bench.set(.rules(of: "b", [PolicyRule(.deny)], order: 5))
    #expect(bench.ask() == .deny)
    bench.set(.rules(of: "a", [PolicyRule(.allow)], order: 4))
    #expect(bench.ask() == .allow)
  }

  @Test func `A tier ends with a denial, unless it passes or nothing of it applies`() {
    let bench = PolicyBench()
    let other = PolicyRule(.allow, protocol: .udp)
    bench.set(.tier(Tier(name: "first", order: 1, end: .deny)), .rules([other], tier: "first"))
    #expect(bench.ask() == .deny)
    bench.set(.tier(Tier(name: "first", order: 1, end: .pass)))
    #expect(bench.ask() == .allow)
    bench.set(.tier(Tier(name: "first", order: 1)), .rules([other], tier: "first", subject: .equals("app", "other")))
    #expect(bench.ask() == .allow)
    bench.set(.rules([other], tier: "first") { $0.isStaged = true })
    #expect(bench.ask() == .allow)
  }

  @Test func `Pass leaves the tier, and in a profile denies`() {
    let bench = PolicyBench()
    bench.set(
      .rules(of: "admin", [PolicyRule(.pass), PolicyRule(.deny)], tier: "kube-admin"),
      .rules(of: "base", [PolicyRule(.deny, protocol: .tcp)], tier: "kube-baseline"))
    #expect(bench.ask() == .deny)
    #expect(bench.ask(.server, .udp) == .allow)
    bench.set(.rules(of: "standard", [PolicyRule(.allow)]))
    #expect(bench.ask() == .allow)
    bench.set(
      .rules(of: "standard", [PolicyRule(.pass)]), .rules(of: "base", [PolicyRule(.pass)], tier: "kube-baseline"))
    #expect(bench.ask() == .allow)
    bench.set(.profile(Profile(name: "kns.a", ingress: [PolicyRule(.pass), PolicyRule(.allow)])))
    #expect(bench.ask() == .deny)
  }

  @Test func `A policy of a tier that does not exist comes last, denies, and is reported`() {
    let bench = PolicyBench()
    bench.set(.rules(of: "lost", [], tier: "nowhere"))
    #expect(bench.outcome.problems.map(\.reason) == [.unknownTier("nowhere")])
    #expect(bench.ask() == .deny)
    bench.set(.rules(of: "known", [PolicyRule(.allow)], tier: "kube-baseline"))
    #expect(bench.ask() == .allow)
    bench.set(.tier(Tier(name: "nowhere", order: 1)))
    #expect(bench.ask() == .deny)
  }

  @Test func `A profile that is written takes the place of the namespace's own, and one of the account adds to it`() {
    let bench = PolicyBench()
    bench.set(.profile(Profile(name: "kns.a")))
    #expect(bench.ask() == .deny)
    bench.set(.profile(Profile(name: "ksa.a.default", ingress: [PolicyRule(.allow, protocol: .tcp)])))
    #expect(bench.ask() == .allow)
    #expect(bench.ask(.server, .udp) == .deny)
    bench.remove(.profile("kns.a"))
    #expect(bench.ask(.server, .udp) == .allow)
  }

  @Test func `What a policy that rejects denies is rejected, and so is what ends in its tier`() {
    let bench = PolicyBench()
    bench.set(.rules([PolicyRule(.deny, protocol: .tcp)]) { $0.rejects = true })
    #expect(bench.ask() == .reject)
    #expect(bench.ask(.server, .udp) == .reject)
    bench.set(.rules([PolicyRule(.deny, protocol: .tcp)]))
    #expect(bench.ask() == .deny)
  }

  @Test func `Log records once and goes on`() throws {
    let bench = PolicyBench()
    let anybody = EntityMatch(selector: .all, ports: [.range(PortRange(80)), .named("http")])
    bench.set(
      .networkSet(NetworkSet(name: .init(namespace: "", name: "n"), prefixes: [.all(.ipv4)])),
      .rules([
        PolicyRule(.log, source: EntityMatch(selector: .all), destination: anybody), PolicyRule(.allow),
      ]))
    let packet = PolicyPacket(from: PolicyBench.client[0], to: PolicyBench.server[0], .tcp, destinationPort: 80)
    let verdict = try PolicyEvaluator(bench.maps).verdict(of: bench.table.setID(of: .server), on: packet)
    #expect(verdict.decision == .allow && verdict.logged.count == 1)
    #expect(bench.ask() == .allow)
  }

  // MARK: - Rules

  @Test func `A rule with ports is for protocols with ports, whether it names one or not`() {
    let bench = PolicyBench()
    for match in [EntityMatch(ports: [.range(.all)]), EntityMatch(notPorts: [.range(PortRange(81))])] {
      bench.set(.rules([PolicyRule(.allow, destination: match)]))
      for number in [L4Protocol.tcp, .udp, .sctp] { #expect(bench.ask(.server, number) == .allow) }
      for number in [L4Protocol.icmp, .icmpv6, .init(rawValue: 47)] { #expect(bench.ask(.server, number) == .deny) }
    }
    #expect(bench.ask(.server, .tcp, port: 81) == .deny)
  }

  @Test func `A named port is what whoever has the address calls so, with the packet's protocol`() {
    let bench = PolicyBench()
    bench.set(.rules([PolicyRule(.allow, destination: EntityMatch(ports: [.named("http")]))]))
    #expect(bench.ask() == .allow)
    #expect(bench.ask(.server, .udp) == .deny)
    #expect(bench.ask(.server, .tcp, port: 81) == .deny)
    bench.set(.workload(.named("server", PolicyBench.server, ports: [.init(name: "http", port: 81)])))
    #expect(bench.ask() == .deny)
    #expect(bench.ask6(.server, .tcp, port: 81) == .allow)
  }

  @Test func `ICMP goes by type and code, each family's ICMP being a protocol of its own`() {
    let bench = PolicyBench()
    bench.set(
      .rules([
        PolicyRule(.allow, protocol: .icmp, icmp: .init(type: 8)),
        PolicyRule(.allow, protocol: .icmpv6, icmp: .init(type: 128, code: 0)),
      ]))
    #expect(bench.ask(.server, .icmp, port: 8 << 8 | 3) == .allow)
    #expect(bench.ask(.server, .icmp, port: 0) == .deny)
    #expect(bench.ask6(.server, .icmpv6, port: 128 << 8) == .allow)
    #expect(bench.ask6(.server, .icmpv6, port: 128 << 8 | 1) == .deny)
    #expect(bench.ask() == .deny)
  }

  @Test func `A rule with addresses of one family says nothing of the other, be they wanted or not`() {
    let bench = PolicyBench()
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(prefixes: [.all(.ipv4)]))]))
    #expect(bench.ask() == .allow)
    #expect(bench.ask6() == .deny)
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(notPrefixes: [IPPrefix(.init(8, 8, 8, 8))]))]))
    #expect(bench.ask() == .allow)
    #expect(bench.ask6() == .deny)
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(prefixes: [.all(.ipv6)]))]))
    #expect(bench.ask() == .deny)
    #expect(bench.ask6() == .allow)
  }

  @Test func `A selector is for those who are known, its negation also for those who are not`() {
    let bench = PolicyBench()
    let (known, unknown) = (PolicyBench.client[0], PolicyBench.outside[0])
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(selector: .not(.has("x"))))]))
    #expect(bench.ask(from: known) == .allow)
    #expect(bench.ask(from: unknown) == .deny)
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(notSelector: .has("x")))]))
    #expect(bench.ask(from: unknown) == .allow)
    bench.set(
      .networkSet(NetworkSet(name: .init(namespace: "", name: "n"), labels: ["x": ""], prefixes: [.all(.ipv4)])))
    #expect(bench.ask(from: unknown) == .deny)
    #expect(bench.ask(from: known) == .deny)
  }

  @Test func `Ranges of network sets within each other come and go by themselves`() {
    let bench = PolicyBench()
    func set(_ name: String, _ prefixes: IPPrefix...) -> Resource {
      .networkSet(NetworkSet(name: .init(namespace: "", name: name), labels: ["set": name], prefixes: prefixes))
    }
    let (wide, narrow) = (IPPrefix(.init(10, 0, 0, 0), length: 16), IPPrefix(.init(10, 0, 0, 0), length: 24))
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(selector: .equals("set", "wide")))]))
    #expect(bench.ask() == .deny)
    bench.set(set("wide", wide), set("narrow", narrow))
    #expect(bench.ask() == .allow)
    bench.set(set("narrow"))
    #expect(bench.ask() == .allow)
    bench.set(set("narrow", wide, narrow), set("wide"))
    #expect(bench.ask() == .deny)
    bench.set(set("wide", narrow, wide))
    bench.remove(.networkSet(.init(namespace: "", name: "narrow")))
    #expect(bench.ask() == .allow)
  }

  @Test func `A service as receiver is its addresses with their ports, as sender its addresses`() {
    let bench = PolicyBench()
    let name = NamespacedName(namespace: "a", name: "web")
    let slice = EndpointSlice(
      name: .init(namespace: "a", name: "web-1"), serviceName: "web", family: .ipv4,
      endpoints: [.init(address: PolicyBench.server[0], isReady: false), .init(address: PolicyBench.server[1])],
      ports: [.init(port: 80)])
    bench.set(
      .endpointSlice(slice),
      .rules([PolicyRule(.allow, destination: EntityMatch(service: name))], subject: .all, direction: .egress))
    #expect(bench.ask(.client) == .allow)
    #expect(bench.ask(.client, port: 81) == .deny)
    #expect(bench.ask6(.client) == .deny)
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(service: name))], subject: .all))
    let client = PolicyPoint.workload(.init(namespace: "a", name: "client"), .ingress)
    #expect(bench.ask(client, from: PolicyBench.server[0], to: PolicyBench.client[0], port: 99) == .allow)
    bench.remove(.endpointSlice(slice.name))
    #expect(bench.ask(client, from: PolicyBench.server[0], to: PolicyBench.client[0], port: 99) == .deny)
  }

  @Test func `Nodes are known to rules about nodes and to no others`() {
    let bench = PolicyBench()
    bench.set(.node(Node(name: "n", addresses: [.init(PolicyBench.outside[0])], labels: ["x": "y"])))
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(nodes: .equals("x", "y")))]))
    #expect(bench.ask(from: PolicyBench.outside[0]) == .allow)
    #expect(bench.ask() == .deny)
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(selector: .equals("x", "y")))]))
    #expect(bench.ask(from: PolicyBench.outside[0]) == .deny)
  }

  @Test func `An address is forgotten with its workload, also one that has ended`() {
    let bench = PolicyBench()
    bench.set(.rules([PolicyRule(.allow, source: EntityMatch(selector: .equals("app", "client")))]))
    #expect(bench.ask() == .allow)
    var workload = Workload.named("client", PolicyBench.client)
    workload.isFinished = true
    bench.set(.workload(workload))
    #expect(bench.ask() == .deny)
    bench.set(.workload(.named("thief", PolicyBench.client)))
    #expect(bench.ask() == .deny)
    #expect(bench.table.setID(of: .client) == 0)
  }

  @Test func `Labels of a namespace and of a service account are the workload's`() {
    let bench = PolicyBench()
    bench.set(
      .rules([
        PolicyRule(.allow, protocol: .tcp, source: EntityMatch(selector: .equals("pcns.team", "x"))),
        PolicyRule(.allow, protocol: .udp, source: EntityMatch(selector: .equals("pcsa.role", "y"))),
      ]))
    #expect(bench.ask() == .deny)
    bench.set(.namespace(Namespace(name: "a", labels: ["team": "x"])))
    #expect(bench.ask() == .allow)
    #expect(bench.ask(.server, .udp) == .deny)
    bench.set(.serviceAccount(ServiceAccount(name: .init(namespace: "a", name: "default"), labels: ["role": "y"])))
    #expect(bench.ask(.server, .udp) == .allow)
    bench.remove(.namespace("a"))
    #expect(bench.ask() == .deny)
  }

  /// As Calico's profiles have it, also where nobody has written the namespace.
  @Test func `Names of a namespace and of a service account are labels`() {
    let bench = PolicyBench()
    func allow(_ key: String, _ name: String) {
      bench.set(.rules([PolicyRule(.allow, source: EntityMatch(selector: .equals(key, name)))]))
    }
    allow("pcns.projectcalico.org/name", "a")
    #expect(bench.ask() == .allow)
    allow("pcns.projectcalico.org/name", "b")
    #expect(bench.ask() == .deny)
    allow("pcsa.projectcalico.org/name", "default")
    #expect(bench.ask() == .allow)
  }

  // MARK: - Hosts

  private func host(profiles: [String] = []) -> Resource {
    .hostEndpoint(
      HostEndpoint(
        name: "eth0", labels: ["app": "server"], node: "here", interface: "eth0",
        expectedAddresses: PolicyBench.server, profiles: profiles))
  }

  @Test func `A host endpoint denies what nothing allows, and has no other stage`() {
    let bench = PolicyBench()
    bench.set(host())
    for stage in [PolicyPoint.HostStage.ingress, .egress] { #expect(bench.ask(.host(stage)) == .deny) }
    for stage in PolicyPoint.HostStage.allCases where stage != .ingress && stage != .egress {
      #expect(bench.table.setID(of: .host(stage)) == 0)
    }
    bench.set(host(profiles: ["projectcalico-default-allow"]))
    #expect(bench.ask(.host(.ingress)) == .allow)
  }

  @Test func `What applies to forwarded traffic drops it at the end of its tier`() {
    let bench = PolicyBench()
    bench.set(host())
    bench.set(.rules([PolicyRule(.allow, protocol: .udp)], stage: .applyOnForward))
    #expect(bench.ask(.host(.forwardIngress), .udp) == .allow)
    #expect(bench.ask(.host(.forwardIngress)) == .deny)
    #expect(bench.ask(.host(.ingress)) == .deny)
    #expect(bench.ask(.server) == .deny)
    #expect(bench.table.setID(of: .host(.forwardEgress)) == 0)
  }

  @Test func `Before a service is looked up, and before connections are tracked, only rules deny`() {
    for (kind, point) in [(Policy.Stage.preDNAT, PolicyPoint.HostStage.beforeNAT), (.doNotTrack, .untrackedIngress)] {
      let bench = PolicyBench()
      bench.set(host(), .rules([PolicyRule(.deny, protocol: .tcp), PolicyRule(.allow, protocol: .udp)], stage: kind))
      #expect(bench.ask(.host(point)) == .deny)
      #expect(bench.ask(.host(point), .udp) == .allow)
      #expect(bench.ask(.host(point), .sctp) == .next)
      #expect(bench.ask(.server) == .allow)
    }
  }

  @Test func `A policy for workloads alone is not for hosts`() {
    let bench = PolicyBench()
    bench.set(host(), .rules([PolicyRule(.allow)]) { $0.subject.workloadsOnly = true })
    #expect(bench.ask(.host(.ingress)) == .deny)
    #expect(bench.ask(.server) == .allow)
  }

  // MARK: - Both ends

  @Test func `Both ends have to allow a packet, and nobody is asked about what it sends to itself`() {
    let bench = PolicyBench()
    bench.set(.rules([], subject: .all, direction: .egress))
    let (client, server) = (
      NamespacedName(namespace: "a", name: "client"), NamespacedName(namespace: "a", name: "server")
    )
    let packet = PolicyPacket(from: PolicyBench.client[0], to: PolicyBench.server[0], .tcp, destinationPort: 80)
    let oracle = PolicyOracle(bench.state)
    #expect(oracle.verdict(from: client, to: server, on: packet).decision == .deny)
    #expect(oracle.verdict(from: nil, to: server, on: packet).decision == .allow)
    #expect(oracle.verdict(from: server, to: server, on: packet).decision == .allow)
  }

  // MARK: - Ids and sets

  @Test func `A rule keeps its id while it stays the same, wherever it is`() throws {
    let bench = PolicyBench()
    let (first, second) = (PolicyRule(.allow, protocol: .udp), PolicyRule(.allow, protocol: .tcp))
    bench.set(.rules([first, second]))
    let before = try #require(bench.table.reading(.server).rules)
    bench.set(.rules([PolicyRule(.deny, protocol: .sctp), first, PolicyRule(.allow, protocol: .icmp), second]))
    let after = try #require(bench.table.reading(.server).rules)
    #expect(after.map(\.id).filter(before.map(\.id).contains) == before.map(\.id))
    #expect(after.first { $0.rule == second }?.name.index == 3)
    #expect(bench.ask() == .allow)
  }

  @Test func `Workloads with the same policies share a set, also those of different namespaces`() {
    let bench = PolicyBench()
    var other = Workload.named("other", [IPAddress(10, 0, 0, 9)])
    other.name = NamespacedName(namespace: "b", name: "other")
    bench.set(.workload(other))
    let point = PolicyPoint.workload(other.name, .ingress)
    #expect(bench.table.setID(of: point) == bench.table.setID(of: .server))
    bench.set(.rules([]))
    #expect(bench.table.setID(of: point) != bench.table.setID(of: .server))
    #expect(bench.outcome.changedPoints == Set([PolicyPoint.server]) || bench.outcome.changedPoints.count == 3)
  }
}
