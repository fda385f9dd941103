import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private func object(_ kind: String, name: String = "p", metadata: String = "", _ spec: String) throws -> PolicyManifest
{
  try PolicyManifest("projectcalico.org/v3", kind, name: name, metadata: metadata, spec: spec)
}

struct TierManifestTests {
  @Test func `reads every field`() throws {
    let found = try object("Tier", name: "sec", "order: 100.5\ndefaultAction: Pass")
    #expect(found.complaints == [])
    #expect(found.contents.state.tiers == ["sec": Tier(name: "sec", order: 100.5, end: .pass)])
    #expect(try object("Tier", name: "sec", "{}").contents.state.tiers == ["sec": Tier(name: "sec")])
  }

  @Test func `a tier that is there anyway may be repeated, not changed`() throws {
    for tier in Tier.builtIn {
      let same = try object("Tier", name: tier.name, "order: \(tier.order ?? 0)\ndefaultAction: \(tier.end.rawValue)")
      #expect(same.complaints == [])
      #expect(same.contents.state.tiers == [:])
      let other = try object("Tier", name: tier.name, "order: 5\ndefaultAction: \(tier.end.rawValue)")
      #expect(other.complaints.count == 1)
      #expect(other.complaints.first?.contains("Tier \(tier.name): spec: tier \(tier.name) cannot be changed") == true)
      #expect(other.contents.state.tiers == [:])
    }
  }

  @Test func `a tier that is understood in part denies at its end, at its place`() throws {
    for spec in ["order: 5\ndefaultAction: Allow", "order: 5\ndefaultAction: Pass\nend: Pass"] {
      let found = try object("Tier", name: "sec", spec)
      #expect(found.complaints.count == 1)
      #expect(found.contents.state.tiers == ["sec": Tier(name: "sec", order: 5, end: .deny)])
    }
    #expect(try object("Tier", name: "sec", "order: first").contents.state.tiers == [:])
  }
}

struct NetworkSetManifestTests {
  @Test func `sets are of the cluster or of a namespace`() throws {
    for (kind, namespace) in [("GlobalNetworkSet", ""), ("NetworkSet", "x")] {
      let found = try object(kind, metadata: "labels: {role: ext}", "nets: [10.0.0.0/8, 192.0.2.1, '::/0', 10.0.0.0/8]")
      #expect(found.complaints == [])
      let name = NamespacedName(namespace: namespace, name: "p")
      let nets = prefixes("10.0.0.0/8", "192.0.2.1/32", "::/0", "10.0.0.0/8")
      #expect(
        found.contents.state.networkSets == [name: NetworkSet(name: name, labels: ["role": "ext"], prefixes: nets)])
    }
  }

  @Test func `what is wrong is left out and named`() throws {
    let found = try object(
      "GlobalNetworkSet", metadata: "labels: {projectcalico.org/namespace: kube-system, a: b}",
      "nets: [10.0.0.0/8, 10.0.0.300, 11.0.0.0/8]\nnet: []")
    #expect(
      found.complaints == [
        "line 3: GlobalNetworkSet p: metadata.labels[\"projectcalico.org/namespace\"]: "
          + "is not anybody's to set: objects have it from their namespace",
        "line 5: GlobalNetworkSet p: spec.nets[1]: \"10.0.0.300\" is not a range of addresses (ADDRESS/LENGTH) or an address",
        "line 6: GlobalNetworkSet p: spec.net: is not a field here; expected one of nets",
      ])
    let set = found.contents.state.networkSets.values.first
    #expect(set?.prefixes == prefixes("10.0.0.0/8", "11.0.0.0/8"))
    #expect(set?.labels == ["a": "b"])
  }

  @Test func `labels that Calico stores beside the object count`() throws {
    let stored = #"annotations: {projectcalico.org/metadata: '{"labels":{"role":"ext"},"creationTimestamp":null}'}"#
    let found = try object("GlobalNetworkSet", metadata: stored, "nets: []")
    #expect(found.complaints == [])
    #expect(found.contents.state.networkSets.values.first?.labels == ["role": "ext"])
    let broken = try object("GlobalNetworkSet", metadata: "annotations: {projectcalico.org/metadata: '{'}", "nets: []")
    #expect(
      broken.complaints.first?.contains(#"metadata.annotations["projectcalico.org/metadata"]: is not JSON"#) == true)
  }
}

struct HostEndpointManifestTests {
  @Test func `reads every field`() throws {
    let found = try object(
      "HostEndpoint", metadata: "labels: {host: n1}",
      """
      node: n1
      interfaceName: eth0
      expectedIPs: [192.0.2.1, "fd00::1"]
      profiles: [a, b]
      ports: [{name: http, protocol: TCP, port: 80}]
      """)
    #expect(found.complaints == [])
    let addresses = prefixes("192.0.2.1/32", "fd00::1/128").map(\.address)
    let endpoint = HostEndpoint(
      name: "p", labels: ["host": "n1"], node: "n1", interface: "eth0", expectedAddresses: addresses,
      profiles: ["a", "b"], ports: [.init(name: "http", port: 80)])
    #expect(found.contents.state.hostEndpoints == ["p": endpoint])
    let any = try object("HostEndpoint", "node: n1\ninterfaceName: '*'")
    #expect(any.complaints == [])
    #expect(any.contents.state.hostEndpoints["p"]?.interface == HostEndpoint.everyInterface)
  }

  private static let mistakes: [(spec: String, message: String)] = [
    ("node: n1", "spec: has to have interfaceName or expectedIPs, which tell the interface"),
    ("node: n1\ninterfaceName: a-name-too-long-0", "is not an interface's name"),
    (
      "node: n1\ninterfaceName: eth0\nexpectedIPs: [10.0.0.0/8]",
      #"spec.expectedIPs[0]: "10.0.0.0/8" is not an IP address"#
    ),
    ("node: n1\ninterfaceName: eth0\nprofile: [a]", "spec.profile: is not a field here"),
    (
      "node: n1\ninterfaceName: eth0\nports: [{name: a, protocol: ICMP, port: 1}]",
      "spec.ports[0].protocol: ICMP has no ports"
    ),
    ("node: n1\ninterfaceName: eth0\nports: [{name: a, protocol: TCP}]", "spec.ports[0].port: is missing"),
  ]

  @Test(arguments: mistakes)
  func `a host endpoint that is understood in part protects all the same`(spec: String, message: String) throws {
    let found = try object("HostEndpoint", spec)
    #expect(found.complaints.count == 1)
    #expect(found.complaints.first?.contains(message) == true)
    #expect(found.contents.state.hostEndpoints["p"]?.node == "n1")
  }

  @Test func `one without a node is nobody's`() throws {
    let found = try object("HostEndpoint", "interfaceName: eth0")
    #expect(found.complaints == ["line 5: HostEndpoint p: spec.node: is missing"])
    #expect(found.contents.state.hostEndpoints == [:])
  }
}

struct ProfileManifestTests {
  @Test func `reads every field, and fails closed`() throws {
    let found = try object(
      "Profile", name: "kns.x",
      "labelsToApply: {a: b}\ningress: [{action: Allow}]\negress: [{action: Deny, protocol: UDP}]")
    #expect(found.complaints == [])
    let profile = Profile(
      name: "kns.x", labels: ["a": "b"], ingress: [PolicyRule(.allow)], egress: [PolicyRule(.deny, protocol: .udp)])
    #expect(found.contents.state.profiles == ["kns.x": profile])
    let broken = try object("Profile", name: "kns.x", "tags: []\ningress: [{action: Allow}]")
    #expect(broken.complaints.count == 1)
    #expect(broken.contents.state.profiles["kns.x"]?.ingress == [PolicyRule(.allow, matchesNothing: true)])
  }
}

struct ServiceAccountManifestTests {
  @Test func `labels of service accounts are read`() throws {
    let contents = try contents([
      "a.yaml": "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot, namespace: x, labels: {trusted: 'yes'}}"
    ])
    #expect(contents.complaints == [])
    let name = NamespacedName(namespace: "x", name: "robot")
    #expect(contents.state.serviceAccounts == [name: ServiceAccount(name: name, labels: ["trusted": "yes"])])
  }
}

struct AllowedSourceManifestTests {
  private func pod(_ annotation: String) throws -> (workload: Workload?, complaints: [String]) {
    let contents = try contents([
      "a.yaml": """
      apiVersion: v1
      kind: Pod
      metadata: {name: p, namespace: x, annotations: {cni.projectcalico.org/allowedSourcePrefixes: '\(annotation)'}}
      status: {podIP: 10.0.0.9}
      """
    ])
    return (contents.state.workloads.values.first, contents.complaints)
  }

  @Test func `other addresses that a pod may send from are read`() throws {
    let found = try pod(#"["10.9.0.0/16", "fd00::1"]"#)
    #expect(found.complaints == [])
    #expect(found.workload?.allowedSources == prefixes("10.9.0.0/16", "fd00::1/128"))
  }

  @Test(arguments: ["10.9.0.0/16", "", "[1]", #"["10.9.0.0/99"]"#, #"{"a": "b"}"#])
  func `a pod of which they are not understood has its own alone`(annotation: String) throws {
    let found = try pod(annotation)
    #expect(found.complaints.count == 1)
    #expect(
      found.complaints.first?.hasPrefix(
        #"a.yaml: document 1, line 3: Pod x/p: metadata.annotations["cni.projectcalico.org/allowedSourcePrefixes"]"#)
        == true)
    #expect(found.workload?.allowedSources == [])
    #expect(found.workload?.hasOwnAddresses == true)
  }
}
