import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private let pods = "projectcalico.org/orchestrator == 'k8s'"
private let subject = "subject: {namespaces: {}}"

private func cluster(_ spec: String) throws -> PolicyManifest {
  try PolicyManifest("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", spec: spec)
}

private func admin(_ spec: String, kind: String = "AdminNetworkPolicy", name: String = "p") throws -> PolicyManifest {
  try PolicyManifest("policy.networking.k8s.io/v1alpha1", kind, name: name, spec: spec)
}

private func egress(_ rule: String) throws -> PolicyManifest {
  try cluster("tier: Admin\npriority: 1\n\(subject)\negress: [{\(rule)}]")
}

struct AdministratorPolicyManifestTests {
  @Test func `reads every field of a cluster network policy`() throws {
    let found = try cluster(
      """
      tier: Admin
      priority: 7
      subject: {pods: {namespaceSelector: {matchLabels: {team: a}}, podSelector: {matchLabels: {app: db}}}}
      ingress:
      - name: from-web
        action: Accept
        from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: web}}}, {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}]
        protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}}, {destinationNamedPort: db}]
      - {action: Pass, from: [{namespaces: {}}]}
      egress:
      - {action: Deny, to: [{nodes: {matchLabels: {role: edge}}}, {networks: [10.0.0.0/8, "fd00::/8"]}]}
      """)
    #expect(found.complaints == [])
    let peers = ["\(pods) && projectcalico.org/namespace == 'web'", "\(pods) && app == 'web'"]
    var ingress: [PolicyRule] = []
    for peer in peers {
      let source = EntityMatch(selector: try selector(peer))
      ingress += [
        PolicyRule(.allow, protocol: .tcp, source: source, destination: EntityMatch(ports: [.port(80)])),
        PolicyRule(.allow, protocol: .udp, source: source, destination: EntityMatch(ports: [.ports(1...9)])),
        PolicyRule(.allow, source: source, destination: EntityMatch(ports: [.named("db")])),
      ]
    }
    ingress.append(PolicyRule(.pass, source: EntityMatch(selector: try selector(pods))))
    let wanted = Policy(
      name: PolicyName(.clusterNetworkPolicy, NamespacedName(namespace: "", name: "p")), tier: "kube-admin", order: 7,
      subject: .init(try selector("\(pods) && pcns.team == 'a' && app == 'db'"), workloadsOnly: true),
      directions: [.ingress, .egress], ingress: ingress,
      egress: [
        PolicyRule(.deny, destination: EntityMatch(nodes: .equals("role", "edge"))),
        PolicyRule(.deny, destination: EntityMatch(prefixes: prefixes("10.0.0.0/8", "fd00::/8"))),
      ])
    #expect(found.policy == wanted)
  }

  @Test func `reads every field of an admin network policy`() throws {
    let found = try admin(
      """
      priority: 3
      subject: {namespaces: {matchLabels: {team: a}}}
      egress:
      - action: Allow
        to: [{networks: [0.0.0.0/0]}]
        ports: [{portNumber: {port: 80}}, {portNumber: {protocol: UDP, port: 53}}, {portRange: {start: 8000, end: 9000}}]
      - {action: Deny, to: [{pods: {namespaceSelector: {}, podSelector: {}}}], ports: [{namedPort: db}]}
      """)
    #expect(found.complaints == [])
    #expect(found.policy?.name == PolicyName(.adminNetworkPolicy, NamespacedName(namespace: "", name: "p")))
    #expect(found.policy?.tier == "kube-admin")
    #expect(found.policy?.order == 3)
    #expect(found.policy?.directions == [.egress])
    #expect(found.policy?.subject == .init(try selector("\(pods) && pcns.team == 'a'"), workloadsOnly: true))
    let everywhere = prefixes("0.0.0.0/0")
    let tcp = EntityMatch(prefixes: everywhere, ports: [.port(80), .ports(8000...9000)])
    let database = EntityMatch(selector: try selector(pods), ports: [.named("db")])
    #expect(
      found.policy?.egress == [
        PolicyRule(.allow, protocol: .tcp, destination: tcp),
        PolicyRule(.allow, protocol: .udp, destination: EntityMatch(prefixes: everywhere, ports: [.port(53)])),
        PolicyRule(.deny, destination: database),
      ])
  }

  @Test func `policies of the baseline are in its tier`() throws {
    let baseline = try admin(
      "\(subject)\ningress: [{action: Deny, from: [{namespaces: {}}]}]", kind: "BaselineAdminNetworkPolicy",
      name: "default")
    #expect(baseline.complaints == [])
    #expect(baseline.policy?.tier == "kube-baseline")
    #expect(baseline.policy?.order == nil)
    #expect(baseline.policy?.ingress == [PolicyRule(.deny, source: EntityMatch(selector: try selector(pods)))])
    let cluster = try cluster("tier: Baseline\npriority: 1000\n\(subject)")
    #expect(cluster.complaints == [])
    #expect(cluster.policy?.tier == "kube-baseline")
    #expect(cluster.policy?.order == 1000)
    #expect(cluster.policy?.subject == .init(try selector(pods), workloadsOnly: true))
  }

  @Test func `without rules it has no effect`() throws {
    let found = try cluster("tier: Admin\npriority: 0\n\(subject)\ningress: []")
    #expect(found.complaints == [])
    #expect(found.policy?.directions == [])
  }

  @Test func `the baseline has one name and does not pass`() throws {
    let other = try admin(
      "\(subject)\ningress: [{action: Allow, from: [{namespaces: {}}]}]", kind: "BaselineAdminNetworkPolicy")
    #expect(
      other.complaints == [
        "line 3: BaselineAdminNetworkPolicy p: metadata.name: has to be default: there is one object of this kind"
      ])
    #expect(other.policy?.ingress == [PolicyRule(.allow, matchesNothing: true)])
    let pass = try admin(
      "\(subject)\ningress: [{action: Pass, from: [{namespaces: {}}]}]", kind: "BaselineAdminNetworkPolicy",
      name: "default")
    #expect(pass.complaints.first?.contains(#"action: "Pass" is not one of Allow, Deny"#) == true)
    #expect(pass.policy?.ingress == [PolicyRule(.deny)])
  }

  // MARK: Fail closed

  @Test(arguments: ["{}", "{serviceAccounts: {}}"])
  func `a kind of peer that is not known closes its rule at once`(peer: String) throws {
    for (action, closed) in [
      ("Accept", PolicyRule(.allow, matchesNothing: true)), ("Deny", PolicyRule(.deny)), ("Pass", PolicyRule(.deny)),
    ] {
      let found = try egress("action: \(action), to: [{namespaces: {}}, \(peer)]")
      #expect(found.complaints.count == 1)
      #expect(found.complaints.first?.hasPrefix("line 8: ClusterNetworkPolicy p: spec.egress[0].to[1]") == true)
      #expect(found.contents.problems.first?.severity == .warning)
      #expect(found.policy?.egress == [closed])
    }
  }

  @Test func `peers of egress are none of ingress`() throws {
    for peer in ["nodes: {}", "networks: [10.0.0.0/8]", "domainNames: [example.com]"] {
      let found = try cluster(
        "tier: Admin\npriority: 1\n\(subject)\ningress: [{action: Accept, from: [{\(peer)}]}]")
      #expect(found.complaints.count == 1)
      #expect(found.policy?.ingress == [PolicyRule(.allow, matchesNothing: true)])
    }
  }

  @Test func `domain names match nothing and are reported`() throws {
    let alone = try egress("action: Accept, to: [{domainNames: [example.com]}]")
    #expect(
      alone.complaints == [
        "line 8: ClusterNetworkPolicy p: spec.egress[0].to[0].domainNames: domain names match nothing here"
      ])
    #expect(alone.policy?.egress == [PolicyRule(.allow, matchesNothing: true)])
    let beside = try egress("action: Accept, to: [{domainNames: [example.com]}, {networks: [10.0.0.0/8]}]")
    #expect(
      beside.policy?.egress == [PolicyRule(.allow, destination: EntityMatch(prefixes: prefixes("10.0.0.0/8")))])
    let denied = try egress("action: Deny, to: [{domainNames: [example.com]}]")
    #expect(denied.complaints.first?.contains("to[0].domainNames: may only be in rules that accept") == true)
    #expect(denied.policy?.egress == [PolicyRule(.deny)])
  }

  private static let mistakes: [(rule: String, message: String)] = [
    ("", "to: is missing"), ("to: []", "to: has to have a peer"),
    ("to: [{namespaces: {}, pods: {}}]", "to[0]: has both namespaces and pods, which exclude each other"),
    ("to: [{networks: []}]", "to[0].networks: has to have a range of addresses"),
    (
      "to: [{networks: [10.0.0.1]}]",
      #"to[0].networks[0]: "10.0.0.1" is not a range of addresses (ADDRESS/LENGTH)"#
    ),
    ("to: [{namespaces: {}}], protocols: []", "protocols: is empty; leave it out for every protocol"),
    (
      "to: [{namespaces: {}}], protocols: [{icmp: {}}]",
      "protocols[0].icmp: is not a field here; expected one of destinationNamedPort, sctp, tcp, udp"
    ),
    (
      "to: [{namespaces: {}}], protocols: [{}]",
      "protocols[0]: has to have tcp, udp, sctp or destinationNamedPort"
    ),
    ("to: [{namespaces: {}}], protocols: [{tcp: {}}]", "protocols[0].tcp.destinationPort: is missing"),
    (
      "to: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 9, end: 9}}}}]",
      "protocols[0].tcp.destinationPort.range.end: 9 is not greater than start, 9"
    ),
    (
      "to: [{nodes: {}}], protocols: [{destinationNamedPort: db}]",
      "protocols[0]: nodes, networks and domain names have no port called db"
    ),
    (
      "to: [{namespaces: {}}], ports: []",
      "ports: is not a field here; expected one of action, name, protocols, to"
    ),
  ]

  @Test(arguments: mistakes)
  func `a rule that is not understood lets nothing through`(rule: String, message: String) throws {
    for (action, closed) in [("Accept", PolicyRule(.allow, matchesNothing: true)), ("Pass", PolicyRule(.deny))] {
      let found = try egress("action: \(action), \(rule)")
      #expect(found.complaints == ["line 8: ClusterNetworkPolicy p: spec.egress[0].\(message)"])
      #expect(found.policy?.egress == [closed])
    }
  }

  @Test func `allowing is called accepting since`() throws {
    let found = try egress("action: Allow, to: [{namespaces: {}}]")
    #expect(found.complaints.first?.contains(#"action: "Allow" is not one of Accept, Deny, Pass"#) == true)
    #expect(found.policy?.egress == [PolicyRule(.deny)])
  }

  @Test func `lists have limits`() throws {
    func complaint(_ rules: Int, peers: Int, networks: Int, protocols: Int) throws -> [String] {
      let networks = (0..<networks).map { "10.\($0).0.0/16" }.joined(separator: ", ")
      let peer = Array(repeating: "{networks: [\(networks)]}", count: peers).joined(separator: ", ")
      let port = Array(repeating: "{tcp: {destinationPort: {number: 1}}}", count: protocols).joined(separator: ", ")
      let rule = "{action: Accept, to: [\(peer)], protocols: [\(port)]}"
      let list = Array(repeating: rule, count: rules).joined(separator: ", ")
      return try cluster("tier: Admin\npriority: 1\n\(subject)\negress: [\(list)]").complaints
    }
    #expect(try complaint(25, peers: 25, networks: 25, protocols: 25) == [])
    #expect(
      try complaint(26, peers: 1, networks: 1, protocols: 1).first?.hasSuffix("has 26 values, more than 25") == true)
    for counts in [(26, 1, 1), (1, 26, 1), (1, 1, 26)] {
      let found = try complaint(1, peers: counts.0, networks: counts.1, protocols: counts.2)
      #expect(found.first?.hasSuffix("has 26 values, more than 25") == true)
    }
  }

  private static let outlines: [(spec: String, message: String)] = [
    ("tier: admin\npriority: 1\n\(subject)", #"tier: "admin" is not one of Admin, Baseline"#),
    ("priority: 1\n\(subject)", "tier: is missing"), ("tier: Admin\n\(subject)", "priority: is missing"),
    ("tier: Admin\npriority: 1001\n\(subject)", "priority: 1001 is not a priority (0 to 1000)"),
    ("tier: Admin\npriority: 1", "subject: is missing"),
    ("tier: Admin\npriority: 1\nsubject: {}", "subject: has to have namespaces or pods"),
    (
      "tier: Admin\npriority: 1\nsubject: {services: {}}",
      "subject.services: is not a field here; expected one of namespaces, pods"
    ),
  ]

  @Test(arguments: outlines)
  func `if anything else is not understood no rule lets anything through`(spec: String, message: String) throws {
    let found = try cluster(spec + "\ningress: [{action: Accept, from: [{namespaces: {}}]}]")
    #expect(found.complaints.count == 1)
    #expect(found.complaints.first?.hasSuffix("ClusterNetworkPolicy p: spec.\(message)") == true)
    #expect(found.policy?.ingress == [PolicyRule(.allow, matchesNothing: true)])
    if message.hasPrefix("subject") { #expect(found.policy?.subject.selector == Selector.none) }
  }
}
