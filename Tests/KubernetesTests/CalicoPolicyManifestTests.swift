import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private let calico = "projectcalico.org/v3"

private func global(_ spec: String) throws -> PolicyManifest {
  try PolicyManifest(calico, "GlobalNetworkPolicy", spec: spec)
}

private func namespaced(_ spec: String) throws -> PolicyManifest {
  try PolicyManifest(calico, "NetworkPolicy", spec: spec)
}

private func named(_ kind: PolicyName.Kind, namespace: String = "", _ name: String = "p") -> PolicyName {
  PolicyName(kind, NamespacedName(namespace: namespace, name: name))
}

struct CalicoPolicyManifestTests {
  @Test(arguments: [calico, "crd.projectcalico.org/v1"])
  func `reads every field of a global policy`(apiVersion: String) throws {
    let found = try PolicyManifest(
      apiVersion, "GlobalNetworkPolicy", name: "sec.p", metadata: "annotations: {martlet.dev/deny: reject}",
      spec: """
        tier: sec
        order: 12.5
        selector: role == 'db'
        namespaceSelector: team in {'b', 'a'}
        serviceAccountSelector: has(trusted)
        types: [Ingress, Egress]
        applyOnForward: true
        performanceHints: [AssumeNeededOnEveryNode]
        ingress:
        - {action: Allow, protocol: TCP, source: {nets: [10.0.0.0/8, 192.0.2.1]}, destination: {ports: [80, "8000:9000", http]}}
        - {action: Log}
        egress:
        - {action: Pass}
        """)
    #expect(found.complaints == [])
    #expect(
      found.policy
        == Policy(
          name: named(.globalNetworkPolicy, "sec.p"), tier: "sec", order: 12.5,
          subject: .init(
            try selector(
              "role == 'db' && has(projectcalico.org/serviceaccount) && has(pcsa.trusted) "
                + "&& has(projectcalico.org/namespace) && pcns.team in {'a', 'b'}")),
          directions: [.ingress, .egress],
          ingress: [
            PolicyRule(
              .allow, protocol: .tcp, source: EntityMatch(prefixes: prefixes("10.0.0.0/8", "192.0.2.1/32")),
              destination: EntityMatch(ports: [.port(80), .ports(8000...9000), .named("http")])),
            PolicyRule(.log),
          ], egress: [PolicyRule(.pass)], stage: .applyOnForward, rejects: true))
  }

  @Test func `a namespaced policy is for workloads of its namespace`() throws {
    let found = try namespaced("selector: all()\nserviceAccountSelector: projectcalico.org/name == 'robot'")
    #expect(found.complaints == [])
    #expect(found.policy?.name == named(.calicoNetworkPolicy, namespace: "x"))
    #expect(
      found.policy?.subject
        == .init(
          try selector(
            "projectcalico.org/namespace == 'x' && has(projectcalico.org/serviceaccount) "
              + "&& projectcalico.org/serviceaccount == 'robot'"), workloadsOnly: true))
    #expect(found.policy?.tier == "default")
    #expect(found.policy?.order == nil)
  }

  @Test(arguments: [
    ("", [PolicyDirection.ingress]), ("ingress: [{action: Allow}]", [.ingress]),
    ("egress: [{action: Allow}]", [.egress]),
    ("ingress: [{action: Allow}]\negress: [{action: Allow}]", [.ingress, .egress]),
    ("types: []\negress: [{action: Deny}]", [.egress]),
    ("types: [Egress]\ningress: [{action: Allow}]", [.egress]),
  ])
  func `types are by the rules where they are left out`(spec: String, directions: [PolicyDirection]) throws {
    let found = try global("selector: ''\n\(spec)")
    #expect(found.complaints == [])
    #expect(found.policy?.subject == .init(.all))
    #expect(found.policy?.directions == Set(directions))
    #expect(found.policy?.ingress.isEmpty == !(directions.contains(.ingress) && spec.contains("ingress")))
  }

  @Test(arguments: [
    ("{}", Policy.Stage.normal), ("{applyOnForward: true}", .applyOnForward),
    ("{applyOnForward: true, preDNAT: true}", .preDNAT), ("{applyOnForward: true, doNotTrack: true}", .doNotTrack),
    ("{applyOnForward: false, preDNAT: false}", .normal),
  ])
  func `which traffic a policy sees`(spec: String, stage: Policy.Stage) throws {
    let found = try global(spec)
    #expect(found.complaints == [])
    #expect(found.policy?.stage == stage)
  }

  @Test(arguments: [
    ("{preDNAT: true}", "preDNAT: needs applyOnForward: true"),
    ("{doNotTrack: true}", "doNotTrack: needs applyOnForward: true"),
    ("{applyOnForward: true, preDNAT: true, doNotTrack: true}", "preDNAT: excludes doNotTrack"),
    ("{applyOnForward: true, preDNAT: true, types: [Egress]}", "preDNAT: is for ingress only"),
    ("{applyOnForward: true, preDNAT: true, egress: [{action: Allow}]}", "preDNAT: is for ingress only"),
    ("{order: first}", #"order: expected a number, found "first""#),
    ("{tier: 3}", "tier: expected a string, found the number 3: put it in quotes"),
    ("{types: [ingress]}", #"types[0]: "ingress" is not one of Ingress, Egress"#),
    (
      "{orders: 3}",
      "orders: is not a field here; expected one of applyOnForward, doNotTrack, egress, ingress, namespaceSelector, order, performanceHints, preDNAT, selector, serviceAccountSelector, tier, types"
    ),
    (
      "{stagedAction: Set}",
      "stagedAction: is not a field here; expected one of applyOnForward, doNotTrack, egress, ingress, namespaceSelector, order, performanceHints, preDNAT, selector, serviceAccountSelector, tier, types"
    ),
  ])
  func `if anything but a rule is not understood no rule lets anything through`(spec: String, message: String) throws {
    let rules = "ingress: [{action: Allow}, {action: Pass}, {action: Log}, {action: Deny, protocol: TCP}]"
    let found = try global(String(spec.dropLast()) + ", selector: has(a), \(rules)}")
    #expect(found.complaints == ["line 5: GlobalNetworkPolicy p: spec.\(message)"])
    #expect(found.policy?.subject == .init(.has("a")))
    guard found.policy?.directions.contains(.ingress) == true else { return }
    #expect(
      found.policy?.ingress == [
        PolicyRule(.allow, matchesNothing: true), PolicyRule(.deny), PolicyRule(.log),
        PolicyRule(.deny, protocol: .tcp),
      ])
  }

  @Test func `fields of global policies are none of namespaced ones`() throws {
    for field in ["applyOnForward", "preDNAT", "doNotTrack"] {
      #expect(try namespaced("\(field): true").complaints.first?.contains("spec.\(field): is not a field here") == true)
    }
    #expect(
      try namespaced("namespaceSelector: all()").complaints.first?.contains(
        "spec.namespaceSelector: is not a field here")
        == true)
  }

  // MARK: Subjects that are not understood

  @Test func `without its selector a namespaced policy closes its namespace`() throws {
    let found = try namespaced("selector: app = 'web'\ningress: [{action: Allow}]")
    #expect(
      found.complaints == [
        "line 5: CalicoNetworkPolicy x/p: spec.selector: is no selector: column 5: expected ==, found a single ="
      ])
    #expect(found.policy?.subject == .init(try selector("projectcalico.org/namespace == 'x'"), workloadsOnly: true))
    #expect(found.policy?.ingress == [PolicyRule(.allow, matchesNothing: true)])
  }

  @Test func `a global policy keeps the conditions that are understood, and without any applies to nobody`() throws {
    let some = try global("selector: app\nnamespaceSelector: team == 'a'")
    #expect(some.complaints.count == 1)
    #expect(
      some.policy?.subject == .init(try selector("has(projectcalico.org/namespace) && pcns.team == 'a'")))
    let none = try global("selector: app\ningress: [{action: Deny}]")
    #expect(none.complaints.count == 1)
    #expect(none.policy?.subject == .init(.none))
    let global = try global("namespaceSelector: global()")
    #expect(
      global.complaints == [
        "line 5: GlobalNetworkPolicy p: spec.namespaceSelector: "
          + "global() may only be the whole of the namespaceSelector of a rule's source or destination"
      ])
  }

  // MARK: Staged

  @Test(arguments: [
    ("StagedNetworkPolicy", PolicyName.Kind.stagedNetworkPolicy, "x"),
    ("StagedGlobalNetworkPolicy", .stagedGlobalNetworkPolicy, ""),
    ("StagedKubernetesNetworkPolicy", .stagedKubernetesNetworkPolicy, "x"),
  ])
  func `staged policies are marked`(kind: String, decoded: PolicyName.Kind, namespace: String) throws {
    for (action, directions) in [
      ("", [PolicyDirection.ingress]), ("stagedAction: Set", [.ingress]), ("stagedAction: Learn", [.ingress]),
      ("stagedAction: Delete", []), ("stagedAction: Ignore", []),
    ] {
      let found = try PolicyManifest(calico, kind, spec: "\(action)\ningress: []")
      #expect(found.complaints == [])
      #expect(found.policy?.name == named(decoded, namespace: namespace))
      #expect(found.policy?.isStaged == true)
      #expect(found.policy?.stagesDeletion == (action == "stagedAction: Delete"))
      #expect(found.policy?.directions == Set(directions))
    }
    let wrong = try PolicyManifest(calico, kind, spec: "stagedAction: Enforce")
    #expect(
      wrong.complaints.first?.contains(#"spec.stagedAction: "Enforce" is not one of Set, Delete, Learn, Ignore"#)
        == true)
    #expect(wrong.policy?.isStaged == true)
  }

  @Test func `a staged policy of Kubernetes is at its place`() throws {
    let found = try PolicyManifest(
      calico, "StagedKubernetesNetworkPolicy", spec: "podSelector: {matchLabels: {a: b}}\ningress: [{}]")
    #expect(found.policy?.order == 1000)
    #expect(found.policy?.ingress == [PolicyRule(.allow)])
  }

  @Test func `more rules than Calico has let nothing through`() throws {
    let rules = (0...1024).map { _ in "- {action: Allow}" }.joined(separator: "\n")
    let found = try global("ingress:\n\(rules)")
    #expect(found.complaints == ["line 6: GlobalNetworkPolicy p: spec.ingress: has 1025 values, more than 1024"])
    #expect(found.policy?.ingress.allSatisfy(\.matchesNothing) == true)
  }
}
