import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private func policy(
  _ rule: String, kind: String = "GlobalNetworkPolicy", _ direction: PolicyDirection = .ingress
) throws -> PolicyManifest {
  try PolicyManifest(
    "projectcalico.org/v3", kind, spec: "\(direction == .ingress ? "ingress" : "egress"): [{\(rule)}]")
}

struct CalicoRuleManifestTests {
  @Test(arguments: [
    ("protocol: TCP", PolicyRule(.allow, protocol: .tcp)), ("protocol: udp", PolicyRule(.allow, protocol: .udp)),
    ("protocol: ICMPv6", PolicyRule(.allow, protocol: .icmpv6)),
    ("protocol: SCTP", PolicyRule(.allow, protocol: .sctp)),
    ("protocol: UDPLite", PolicyRule(.allow, protocol: L4Protocol(rawValue: 136))),
    ("protocol: 47", PolicyRule(.allow, protocol: L4Protocol(rawValue: 47))),
    ("protocol: '47'", PolicyRule(.allow, protocol: L4Protocol(rawValue: 47))),
    ("notProtocol: ICMPv6", PolicyRule(.allow, notProtocol: .icmpv6)),
    ("protocol: TCP, notProtocol: UDPLite", PolicyRule(.allow, protocol: .tcp, notProtocol: L4Protocol(rawValue: 136))),
    ("ipVersion: 6", PolicyRule(.allow, family: .ipv6)), ("ipVersion: 4", PolicyRule(.allow, family: .ipv4)),
    ("protocol: ICMP, icmp: {type: 8}", PolicyRule(.allow, protocol: .icmp, icmp: .init(type: 8))),
    (
      "protocol: 58, icmp: {type: 128, code: 0}", PolicyRule(.allow, protocol: .icmpv6, icmp: .init(type: 128, code: 0))
    ),
    (
      "protocol: ICMP, notICMP: {type: 254, code: 255}",
      PolicyRule(.allow, protocol: .icmp, notICMP: .init(type: 254, code: 255))
    ),
    ("protocol: ICMP, icmp: {}", PolicyRule(.allow, protocol: .icmp)),
    ("metadata: {annotations: {a: b}}", PolicyRule(.allow)),
    ("source: {}, destination: {nets: [], ports: []}", PolicyRule(.allow)),
    (
      "source: {notNets: ['fd00::1/8']}, destination: {nets: ['::/0']}",
      PolicyRule(
        .allow, source: EntityMatch(notPrefixes: prefixes("fd00::/8")),
        destination: EntityMatch(prefixes: prefixes("::/0")))
    ),
    (
      "destination: {ports: [http, Web_1.x]}",
      PolicyRule(.allow, destination: EntityMatch(ports: [.named("http"), .named("Web_1.x")]))
    ),
    (
      "protocol: TCP, source: {ports: ['1:65535', '80']}, destination: {notPorts: [22]}",
      PolicyRule(
        .allow, protocol: .tcp, source: EntityMatch(ports: [.ports(1...65535), .port(80)]),
        destination: EntityMatch(notPorts: [.port(22)]))
    ),
  ])
  func `reads every field`(fields: String, rule: PolicyRule) throws {
    let found = try policy("action: Allow, \(fields)")
    #expect(found.complaints == [])
    #expect(found.policy?.ingress == [rule])
  }

  // MARK: Selectors

  @Test(arguments: [
    ("selector: has(a)", "has(a)"), ("selector: all()", "all()"),
    ("namespaceSelector: team == 'a'", "has(projectcalico.org/namespace) && pcns.team == 'a'"),
    ("namespaceSelector: all()", "has(projectcalico.org/namespace)"),
    ("namespaceSelector: global()", "!has(projectcalico.org/namespace)"),
    ("namespaceSelector: ' global() ', selector: has(a)", "!has(projectcalico.org/namespace) && has(a)"),
    (
      "namespaceSelector: kubernetes.io/metadata.name == 'y'",
      "has(projectcalico.org/namespace) && projectcalico.org/namespace == 'y'"
    ),
    (
      "namespaceSelector: projectcalico.org/name == 'y'",
      "has(projectcalico.org/namespace) && projectcalico.org/namespace == 'y'"
    ),
    (
      "namespaceSelector: '!has(team)', selector: a == 'b' || has(c)",
      "has(projectcalico.org/namespace) && !has(pcns.team) && (a == 'b' || has(c))"
    ),
    ("serviceAccounts: {names: [b, a]}", "projectcalico.org/serviceaccount in {'a', 'b'}"),
    (
      "serviceAccounts: {selector: has(a)}, selector: has(b)",
      "has(b) && has(projectcalico.org/serviceaccount) && has(pcsa.a)"
    ),
    ("serviceAccounts: {}", "has(projectcalico.org/serviceaccount)"),
  ])
  func `what is said about labels is one selector`(fields: String, expected: String) throws {
    let ofCluster = try policy("action: Deny, source: {\(fields)}")
    #expect(ofCluster.complaints == [])
    #expect(ofCluster.policy?.ingress == [PolicyRule(.deny, source: EntityMatch(selector: try selector(expected)))])
    let ofNamespace = try policy("action: Deny, source: {\(fields)}", kind: "NetworkPolicy")
    let own = Selector.equals("projectcalico.org/namespace", "x")
    let scoped =
      fields.contains("namespaceSelector") ? try selector(expected) : .and([own, try selector(expected)]).canonical
    let wanted = fields == "selector: all()" ? own : scoped
    #expect(ofNamespace.policy?.ingress == [PolicyRule(.deny, source: EntityMatch(selector: wanted))])
  }

  /// As Calico converts rules: a selector that is negated is a selector, by which the namespace is meant.
  @Test func `who is not selected is of the policy's namespace, or whoever it is`() throws {
    let own = Selector.equals("projectcalico.org/namespace", "x")
    for (kind, selector) in [("NetworkPolicy", own), ("GlobalNetworkPolicy", nil)] {
      let found = try policy("action: Allow, source: {notSelector: has(a)}", kind: kind)
      #expect(found.complaints == [])
      let source = EntityMatch(selector: selector, notSelector: .has("a"))
      #expect(found.policy?.ingress == [PolicyRule(.allow, source: source)])
    }
  }

  // MARK: Services

  @Test func `services are of the policy's namespace unless they say which`() throws {
    let service = NamespacedName(namespace: "x", name: "web")
    let egress = try policy("action: Allow, destination: {services: {name: web}}", kind: "NetworkPolicy", .egress)
    #expect(egress.complaints == [])
    #expect(egress.policy?.egress == [PolicyRule(.allow, destination: EntityMatch(service: service))])
    let ingress = try policy("action: Allow, protocol: TCP, source: {ports: [80], services: {name: web, namespace: x}}")
    #expect(ingress.complaints == [])
    #expect(
      ingress.policy?.ingress
        == [PolicyRule(.allow, protocol: .tcp, source: EntityMatch(ports: [.port(80)], service: service))])
  }

  @Test(arguments: [
    (
      PolicyDirection.egress, "destination: {services: {name: web}}",
      "destination.services.namespace: is missing, which only a policy of a namespace may leave out"
    ),
    (.egress, "destination: {services: {namespace: x}}", "destination.services.name: is missing"),
    (
      .egress, "source: {services: {name: web, namespace: x}}",
      "source.services: may only be at the other end: in destination"
    ),
    (
      .ingress, "destination: {services: {name: web, namespace: x}}",
      "destination.services: may only be at the other end: in source"
    ),
    (
      .egress, "protocol: TCP, destination: {services: {name: web, namespace: x}, ports: [80]}",
      "destination.ports: has to be left out: the ports are those of the service"
    ),
    (
      .egress, "protocol: TCP, destination: {services: {name: web, namespace: x}, notPorts: [80]}",
      "destination.notPorts: has to be left out: the ports are those of the service"
    ),
    (
      .egress, "destination: {services: {name: web, namespace: x}, selector: all()}",
      "destination.selector: excludes services"
    ),
    (
      .egress, "destination: {services: {name: web, namespace: x}, notSelector: all()}",
      "destination.notSelector: excludes services"
    ),
    (
      .egress, "destination: {services: {name: web, namespace: x}, namespaceSelector: all()}",
      "destination.namespaceSelector: excludes services"
    ),
    (
      .egress, "destination: {services: {name: web, namespace: x}, nets: [10.0.0.0/8]}",
      "destination.nets: excludes services"
    ),
    (
      .egress, "destination: {services: {name: web, namespace: x}, notNets: [10.0.0.0/8]}",
      "destination.notNets: excludes services"
    ),
    (
      .egress, "destination: {services: {name: web, namespace: x}, serviceAccounts: {}}",
      "destination.serviceAccounts: excludes services"
    ),
  ])
  func `services exclude what else says who`(direction: PolicyDirection, fields: String, message: String) throws {
    let found = try policy("action: Allow, \(fields)", direction)
    #expect(
      found.complaints == [
        "line 5: GlobalNetworkPolicy p: spec.\(direction == .ingress ? "ingress" : "egress")[0].\(message)"
      ])
    #expect(found.policy?.rules(direction) == [PolicyRule(.allow, matchesNothing: true)])
  }

  // MARK: Mistakes

  @Test(arguments: [
    ("protocol: TPC", #"protocol: expected TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or 1 to 255, found "TPC""#),
    ("protocol: 0", "protocol: expected TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or 1 to 255, found the number 0"),
    ("protocol: 256", "protocol: expected TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or 1 to 255, found the number 256"),
    ("notProtocol: GRE", #"notProtocol: expected TCP, UDP, ICMP, ICMPv6, SCTP, UDPLite or 1 to 255, found "GRE""#),
    ("ipVersion: 5", "ipVersion: expected 4 or 6, found the number 5"),
    ("icmp: {type: 8}", "icmp: needs protocol ICMP or ICMPv6"),
    ("protocol: TCP, notICMP: {type: 8}", "notICMP: needs protocol ICMP or ICMPv6"),
    ("protocol: ICMP, icmp: {type: 255}", "icmp.type: 255 is not a type of ICMP (0 to 254)"),
    ("protocol: ICMP, icmp: {code: 0}", "icmp.type: is missing, and code means nothing without it"),
    ("protocol: ICMP, icmp: {type: 8, code: 256}", "icmp.code: 256 is not a code of ICMP (0 to 255)"),
    ("protocol: ICMP, ipVersion: 6", "ipVersion: is not that of protocol ICMP"),
    ("protocol: ICMPv6, ipVersion: 4", "ipVersion: is not that of protocol ICMPv6"),
    ("destination: {ports: [80]}", "destination.ports: needs protocol TCP, UDP or SCTP"),
    ("source: {notPorts: [http, 80]}", "source.notPorts: needs protocol TCP, UDP or SCTP"),
    ("protocol: ICMP, destination: {ports: [http]}", "destination.ports: needs protocol TCP, UDP or SCTP"),
    ("protocol: TCP, destination: {ports: [0]}", "destination.ports[0]: 0 is not a port (1 to 65535)"),
    (
      "protocol: TCP, destination: {ports: ['90:80']}",
      #"destination.ports[0]: "90:80" is not a range of ports (LOW:HIGH, 1 to 65535)"#
    ),
    (
      "protocol: TCP, destination: {ports: ['0:80']}",
      #"destination.ports[0]: "0:80" is not a range of ports (LOW:HIGH, 1 to 65535)"#
    ),
    (
      "protocol: TCP, destination: {ports: ['80:65536']}",
      #"destination.ports[0]: "80:65536" is not a range of ports (LOW:HIGH, 1 to 65535)"#
    ),
    (
      "protocol: TCP, destination: {ports: ['a:b']}",
      #"destination.ports[0]: "a:b" is not a port, a range LOW:HIGH or a port's name"#
    ),
    (
      "source: {nets: [10.0.0.0/8]}, destination: {notNets: ['fd00::/8']}",
      "destination.notNets[0]: fd00::/8 is not of the family of 10.0.0.0/8: make two rules, one for each"
    ),
    (
      "source: {nets: [10.0.0.0/33]}",
      #"source.nets[0]: "10.0.0.0/33" is not a range of addresses (ADDRESS/LENGTH) or an address"#
    ),
    (
      "source: {selector: a}",
      "source.selector: is no selector: column 2: expected ==, !=, in, not in, contains, starts with or ends with after the label a, found the end"
    ),
    (
      "source: {selector: global()}",
      "source.selector: global() may only be the whole of the namespaceSelector of a rule's source or destination"
    ),
    (
      "source: {namespaceSelector: global() || has(a)}",
      "source.namespaceSelector: global() may only be the whole of the namespaceSelector of a rule's source or destination"
    ),
    (
      "source: {notSelector: \"a == 'global()'\"}",
      "source.notSelector: global() may only be the whole of the namespaceSelector of a rule's source or destination"
    ),
    (
      "source: {net: [10.0.0.0/8]}",
      "source.net: is not a field here; expected one of namespaceSelector, nets, notNets, notPorts, notSelector, ports, selector, serviceAccounts, services"
    ),
    (
      "sources: {}",
      "sources: is not a field here; expected one of action, destination, http, icmp, ipVersion, metadata, notICMP, notProtocol, protocol, source"
    ),
  ])
  func `a rule that is not understood lets nothing through`(fields: String, message: String) throws {
    for (action, closed) in [
      ("Allow", PolicyRule(.allow, matchesNothing: true)), ("Deny", PolicyRule(.deny)), ("Pass", PolicyRule(.deny)),
      ("Log", PolicyRule(.log, matchesNothing: true)),
    ] {
      let found = try policy("action: \(action), \(fields)")
      #expect(found.complaints == ["line 5: GlobalNetworkPolicy p: spec.ingress[0].\(message)"])
      #expect(found.policy?.ingress == [closed])
    }
  }

  @Test(arguments: [
    ("action: allow", #"action: "allow" is not one of Allow, Deny, Log, Pass"#),
    ("protocol: TCP", "action: is missing"),
  ])
  func `a rule of which it is not known what it does denies`(rule: String, message: String) throws {
    let found = try policy(rule)
    #expect(found.complaints == ["line 5: GlobalNetworkPolicy p: spec.ingress[0].\(message)"])
    #expect(found.policy?.ingress == [PolicyRule(.deny)])
  }

  @Test func `there are limits to the length of lists`() throws {
    func list(_ count: Int, _ element: (Int) -> String) -> String {
      "[\((0..<count).map(element).joined(separator: ", "))]"
    }
    let nets = { (count: Int) in "source: {nets: \(list(count) { "10.0.\($0 / 256).\($0 % 256)" })}" }
    let ports = { (count: Int) in "protocol: TCP, destination: {notPorts: \(list(count) { "\($0 + 1)" })}" }
    #expect(try policy("action: Allow, \(nets(256))").complaints == [])
    #expect(
      try policy("action: Allow, \(nets(257))").complaints.first?.contains("source.nets: has 257 values, more than 256")
        == true)
    #expect(try policy("action: Allow, \(ports(50))").complaints == [])
    #expect(
      try policy("action: Allow, \(ports(51))").complaints.first?.contains(
        "destination.notPorts: has 51 values, more than 50") == true)
  }

  @Test func `a rule about requests does not become one about connections`() throws {
    let http = "http: {methods: [GET], paths: [{exact: /}]}"
    let allowed = try policy("action: Allow, protocol: TCP, \(http)")
    #expect(
      allowed.complaints == [
        "line 5: GlobalNetworkPolicy p: spec.ingress[0].http: requests cannot be told apart here: the rule matches nothing"
      ])
    #expect(allowed.contents.problems.map(\.severity) == [.warning])
    #expect(allowed.policy?.ingress == [PolicyRule(.allow, protocol: .tcp, matchesNothing: true)])
    let denied = try policy("action: Deny, \(http)")
    #expect(denied.complaints == ["line 5: GlobalNetworkPolicy p: spec.ingress[0].http: needs action Allow"])
    #expect(denied.policy?.ingress == [PolicyRule(.deny)])
  }
}
