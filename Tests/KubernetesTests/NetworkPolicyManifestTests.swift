import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private let pods = "projectcalico.org/orchestrator == 'k8s'"
private let podsOfX = "\(pods) && projectcalico.org/namespace == 'x'"

private func networkPolicy(_ spec: String, metadata: String = "") throws -> PolicyManifest {
  try PolicyManifest("networking.k8s.io/v1", "NetworkPolicy", metadata: metadata, spec: spec)
}

struct NetworkPolicyManifestTests {
  @Test func `reads every field`() throws {
    let found = try networkPolicy(
      """
      podSelector: {matchLabels: {app: db}, matchExpressions: [{key: tier, operator: NotIn, values: [b, a]}]}
      policyTypes: [Ingress, Egress]
      ingress:
      - from:
        - podSelector: {matchLabels: {app: web}}
        - namespaceSelector: {matchLabels: {team: a}}
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}
          podSelector: {matchExpressions: [{key: app, operator: Exists}]}
        ports: [{port: 5432}]
      egress:
      - to: [{ipBlock: {cidr: 10.0.0.1/8, except: [10.1.0.0/16]}}]
      """)
    #expect(found.complaints == [])
    let peers = [
      "\(podsOfX) && app == 'web'", "\(pods) && pcns.team == 'a'",
      "\(pods) && projectcalico.org/namespace == 'shop' && has(app)",
    ]
    #expect(
      found.policy
        == Policy(
          name: PolicyName(.networkPolicy, NamespacedName(namespace: "x", name: "p")), tier: "default", order: 1000,
          subject: .init(try selector("\(podsOfX) && app == 'db' && tier not in {'a', 'b'}"), workloadsOnly: true),
          directions: [.ingress, .egress],
          ingress: try peers.map {
            PolicyRule(
              .allow, protocol: .tcp, source: EntityMatch(selector: try selector($0)),
              destination: EntityMatch(ports: [.port(5432)]))
          },
          egress: [
            PolicyRule(
              .allow,
              destination: EntityMatch(prefixes: prefixes("10.0.0.0/8"), notPrefixes: prefixes("10.1.0.0/16")))
          ]))
  }

  @Test(arguments: [
    ("podSelector: {}", [PolicyDirection.ingress]), ("", [.ingress]), ("egress: []", [.ingress]),
    ("egress: [{}]", [.ingress, .egress]), ("policyTypes: []\negress: [{}]", [.ingress, .egress]),
    ("policyTypes: [Egress]", [.egress]), ("policyTypes: [Egress, Ingress]", [.ingress, .egress]),
    ("policyTypes: [Ingress]\negress: [{}]", [.ingress]),
  ])
  func `the directions are what the API fills in`(spec: String, directions: [PolicyDirection]) throws {
    let found = try networkPolicy(spec)
    #expect(found.complaints == [])
    #expect(found.policy?.directions == Set(directions))
    #expect(found.policy?.subject == .init(try selector(podsOfX), workloadsOnly: true))
    #expect(found.policy?.egress.isEmpty == !(directions.contains(.egress) && spec.contains("[{}]")))
  }

  @Test(arguments: ["{}", "{from: []}", "{from: null, ports: []}"])
  func `a rule that says nothing allows everything`(rule: String) throws {
    let found = try networkPolicy("ingress: [\(rule)]")
    #expect(found.complaints == [])
    #expect(found.policy?.ingress == [PolicyRule(.allow)])
  }

  @Test(arguments: [
    ("from: [{podSelector: {}}]", podsOfX), ("from: [{namespaceSelector: {}}]", pods),
    ("from: [{podSelector: {}, namespaceSelector: {}}]", pods),
    (
      "from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [b, a]}]}}]",
      "\(pods) && projectcalico.org/namespace in {'a', 'b'}"
    ),
    (
      "from: [{namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]",
      "\(pods) && !has(pcns.team)"
    ),
  ])
  func `peers are pods, of the policy's namespace unless it says which`(rule: String, expected: String) throws {
    let found = try networkPolicy("ingress: [{\(rule)}]")
    #expect(found.complaints == [])
    #expect(found.policy?.ingress == [PolicyRule(.allow, source: EntityMatch(selector: try selector(expected)))])
  }

  @Test func `a network set is never a peer, and a pod is whatever labels it gives itself`() throws {
    let peer = try #require(
      try networkPolicy(
        "ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: 'y'}}}]}]"
      ).policy?.ingress.first?.source.selector)
    var state = ClusterState()
    state.apply(.set(.namespace(Namespace(name: "y"))))
    let name = NamespacedName(namespace: "y", name: "a")
    #expect(peer.matches(state.labels(of: Workload(name: name))))
    #expect(!peer.matches(state.labels(of: NetworkSet(name: name))))
    let liar = Workload(
      name: NamespacedName(namespace: "z", name: "a"), labels: ["pcns.kubernetes.io/metadata.name": "y"])
    #expect(!peer.matches(state.labels(of: liar)))
  }

  @Test(arguments: ["pcns.team", "pcns:team"])
  func `a pod cannot pass for one of another namespace by its own labels`(label: String) throws {
    let peer = try #require(
      try networkPolicy("ingress: [{from: [{namespaceSelector: {matchLabels: {team: a}}}]}]").policy?.ingress.first?
        .source.selector)
    var state = ClusterState()
    state.apply(.set(.namespace(Namespace(name: "y", labels: ["team": "a"]))))
    state.apply(.set(.namespace(Namespace(name: "z", labels: ["team": "b"]))))
    for (namespace, isMember) in [("y", true), ("z", false), ("nobody-has-written", false)] {
      let pod = Workload(name: NamespacedName(namespace: namespace, name: "a"), labels: [label: isMember ? "b" : "a"])
      #expect(peer.matches(state.labels(of: pod)) == isMember)
    }
  }

  /// Only what runs in a namespace is a pod of it.
  @Test func `a network set cannot pass for pods by its labels`() throws {
    let labels = ["projectcalico.org/orchestrator": "k8s", "projectcalico.org/serviceaccount": "default", "app": "a"]
    var state = ClusterState()
    state.apply(.set(.namespace(Namespace(name: "x"))))
    state.apply(.set(.profile(Profile(name: "kns.x", labels: labels))))
    for (peer, subject) in [
      ("namespaceSelector: {}", ""), ("podSelector: {matchLabels: {app: a}}", "x"), ("namespaceSelector: {}", "x"),
    ] {
      let peer = try #require(
        try networkPolicy("ingress: [{from: [{\(peer)}]}]").policy?.ingress.first?.source.selector)
      let set = NetworkSet(name: NamespacedName(namespace: subject, name: "s"), labels: labels)
      #expect(!peer.matches(state.labels(of: set)))
      let pod = Workload(name: NamespacedName(namespace: "x", name: "a"), labels: ["app": "a"])
      #expect(peer.matches(state.labels(of: pod)))
    }
  }

  @Test func `a direction may be named twice`() throws {
    let found = try networkPolicy("policyTypes: [Ingress, Ingress]\ningress: [{}]")
    #expect(found.complaints == [] && found.policy?.directions == [.ingress])
  }

  @Test func `ports of one protocol are one rule for each peer`() throws {
    let found = try networkPolicy(
      """
      egress:
      - to: [{podSelector: {}}, {ipBlock: {cidr: "fd00::/8"}}]
        ports:
        - {port: 80}
        - {port: 53, protocol: UDP}
        - {port: 8000, endPort: 9000, protocol: TCP}
        - {port: http-alt}
        - {protocol: SCTP}
        - {port: 7, protocol: SCTP}
      """)
    #expect(found.complaints == [])
    func rules(_ peer: EntityMatch) -> [PolicyRule] {
      [
        (L4Protocol.tcp, [EntityMatch.PortMatch.port(80), .ports(8000...9000), .named("http-alt")]),
        (.udp, [.port(53)]), (.sctp, nil),
      ].map { `protocol`, ports in
        var destination = peer
        destination.ports = ports
        return PolicyRule(.allow, protocol: `protocol`, destination: destination)
      }
    }
    #expect(
      found.policy?.egress
        == rules(EntityMatch(selector: try selector(podsOfX))) + rules(EntityMatch(prefixes: prefixes("fd00::/8"))))
  }

  @Test func `a port that says nothing is all of TCP`() throws {
    let found = try networkPolicy("ingress: [{ports: [{}]}]")
    #expect(found.policy?.ingress == [PolicyRule(.allow, protocol: .tcp)])
  }

  @Test(arguments: [("reject", true), ("drop", false)])
  func `an annotation has what is denied answered`(answer: String, rejects: Bool) throws {
    let found = try networkPolicy("{}", metadata: "annotations: {martlet.dev/deny: \(answer)}")
    #expect(found.complaints == [])
    #expect(found.policy?.rejects == rejects)
  }

  @Test func `an annotation with another word is reported`() throws {
    let found = try networkPolicy("{}", metadata: "annotations: {martlet.dev/deny: ignore}")
    #expect(
      found.complaints == [
        #"line 3: NetworkPolicy x/p: metadata.annotations["martlet.dev/deny"]: "ignore" is not one of drop, reject"#
      ])
    #expect(found.policy?.rejects == false)
  }

  @Test(arguments: [
    ("from: [{}]", "from[0]: has to have ipBlock, podSelector or namespaceSelector"),
    (
      "from: [{podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}]",
      "from[0].ipBlock: excludes podSelector and namespaceSelector"
    ),
    ("from: [{ipBlock: {}}]", "from[0].ipBlock.cidr: is missing"),
    (
      "from: [{ipBlock: {cidr: 10.0.0.0}}]",
      #"from[0].ipBlock.cidr: "10.0.0.0" is not a range of addresses (ADDRESS/LENGTH)"#
    ),
    (
      "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]",
      "from[0].ipBlock.except[0]: 11.0.0.0/16 is not a part of 10.0.0.0/8"
    ),
    (
      "from: [{ipBlock: {cidr: 10.0.0.0/8, except: ['fd00::/8']}}]",
      "from[0].ipBlock.except[0]: fd00::/8 is not a part of 10.0.0.0/8"
    ),
    (
      "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}]",
      "from[0].ipBlock.except[0]: 10.0.0.0/8 is not a part of 10.0.0.0/8"
    ),
    (
      "from: [{podSelecter: {}}]",
      "from[0].podSelecter: is not a field here; expected one of ipBlock, namespaceSelector, podSelector"
    ),
    ("form: [{podSelector: {}}]", "form: is not a field here; expected one of from, ports"),
    ("to: [{podSelector: {}}]", "to: is not a field here; expected one of from, ports"),
    ("from: {podSelector: {}}", "from: expected a list, found an object"),
    (
      "from: [{podSelector: {matchExpressions: [{key: a, operator: in, values: [b]}]}}]",
      #"from[0].podSelector.matchExpressions[0].operator: "in" is not one of In, NotIn, Exists, DoesNotExist"#
    ),
    (
      "from: [{podSelector: {matchExpressions: [{key: a, operator: In}]}}]",
      "from[0].podSelector.matchExpressions[0].values: has to have a value"
    ),
    (
      "from: [{podSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]",
      "from[0].podSelector.matchExpressions[0].values: has no meaning with operator Exists"
    ),
    (
      "from: [{podSelector: {matchLabel: {a: b}}}]",
      "from[0].podSelector.matchLabel: is not a field here; expected one of matchExpressions, matchLabels"
    ),
    ("ports: [{protocol: ICMP}]", #"ports[0].protocol: "ICMP" is not a protocol with ports (TCP, UDP or SCTP)"#),
    ("ports: [{protocol: tcp}]", #"ports[0].protocol: "tcp" is not a protocol with ports (TCP, UDP or SCTP)"#),
    ("ports: [{port: 0}]", "ports[0].port: 0 is not a port (1 to 65535)"),
    ("ports: [{port: 65536}]", "ports[0].port: 65536 is not a port (1 to 65535)"),
    (
      "ports: [{port: '80'}]",
      #"ports[0].port: "80" is not a port's name (at most 15 of a-z, 0-9 and -, one of them a letter)"#
    ),
    (
      "ports: [{port: Http}]",
      #"ports[0].port: "Http" is not a port's name (at most 15 of a-z, 0-9 and -, one of them a letter)"#
    ),
    ("ports: [{port: http, endPort: 90}]", "ports[0].endPort: needs a port that is a number"),
    ("ports: [{endPort: 90}]", "ports[0].endPort: needs a port that is a number"),
    ("ports: [{port: 80, endPort: 79}]", "ports[0].endPort: 79 is less than port 80"),
    (
      "ports: [{port: 80, endport: 90}]",
      "ports[0].endport: is not a field here; expected one of endPort, port, protocol"
    ),
  ])
  func `a rule that is not understood is reported and lets nothing through, and others count`(
    rule: String, message: String
  ) throws {
    let found = try networkPolicy("ingress:\n- {\(rule)}\n- {ports: [{port: 22}]}")
    #expect(found.complaints == ["line 6: NetworkPolicy x/p: spec.ingress[0].\(message)"])
    #expect(found.policy?.directions == [.ingress])
    #expect(
      found.policy?.ingress == [
        PolicyRule(.allow, matchesNothing: true),
        PolicyRule(.allow, protocol: .tcp, destination: EntityMatch(ports: [.port(22)])),
      ])
  }

  @Test(arguments: [
    ("order: 5", "order: is not a field here; expected one of egress, ingress, podSelector, policyTypes"),
    ("policyTypes: [In]", #"policyTypes[0]: "In" is not one of Ingress, Egress"#),
    ("podSelector: app", #"podSelector: expected an object, found "app""#),
  ])
  func `if anything else is not understood no rule lets anything through`(field: String, message: String) throws {
    let found = try networkPolicy("\(field)\ningress: [{}]")
    #expect(found.complaints == ["line 5: NetworkPolicy x/p: spec.\(message)"])
    #expect(found.policy?.subject == .init(try selector(podsOfX), workloadsOnly: true))
    #expect(found.policy?.ingress == [PolicyRule(.allow, matchesNothing: true)])
    #expect(found.policy?.directions.contains(.ingress) == true)
  }

  @Test func `rules that are no list isolate`() throws {
    let found = try networkPolicy("ingress: {}\negress: yes")
    #expect(
      found.complaints == [
        "line 5: NetworkPolicy x/p: spec.ingress: expected a list, found an object",
        "line 6: NetworkPolicy x/p: spec.egress: expected a list, found true",
      ])
    #expect(found.policy?.directions == [.ingress, .egress])
    #expect(found.policy?.ingress == [PolicyRule(.allow, matchesNothing: true)])
    #expect(found.policy?.egress == [PolicyRule(.allow, matchesNothing: true)])
  }

  @Test func `what is in no rule and in no spec isolates all the same`() throws {
    let contents = try contents([
      "policy.yaml": "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: x}"
    ])
    #expect(contents.complaints == [])
    #expect(contents.state.policies.values.first?.directions == [.ingress])
  }
}
