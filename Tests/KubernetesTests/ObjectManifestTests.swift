import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private func name(_ name: String) -> NamespacedName { NamespacedName(namespace: "default", name: name) }

struct EndpointSliceManifestTests {
  @Test func `reads every field that matters`() throws {
    let contents = try contents([
      "slice.yaml": """
      apiVersion: discovery.k8s.io/v1
      kind: EndpointSlice
      metadata:
        name: web-1
        namespace: shop
        labels: {kubernetes.io/service-name: web, service.kubernetes.io/headless: ""}
        annotations: {martlet.dev/weight: "5"}
      addressType: IPv4
      endpoints:
      - addresses: [10.65.1.11, 10.65.1.12]
        conditions: {ready: false, serving: true, terminating: true}
        nodeName: n1
        zone: a
        hints: {forZones: [{name: a}, {name: b}], forNodes: [{name: n1}]}
        targetRef: {kind: Pod, name: b11}
      ports:
      - {name: http, port: 8080, protocol: TCP}
      - {name: dns, port: 5353, protocol: UDP}
      """
    ])
    #expect(contents.complaints == [])
    let slice = EndpointSlice(
      name: NamespacedName(namespace: "shop", name: "web-1"), serviceName: "web", family: .ipv4,
      endpoints: [
        .init(
          address: IPAddress(10, 65, 1, 11), isReady: false, isServing: true, isTerminating: true, node: "n1",
          zoneHints: ["a", "b"], nodeHints: ["n1"])
      ],
      ports: [.init(name: "http", port: 8080), .init(name: "dns", protocol: .udp, port: 5353)], isHeadless: true,
      weight: 5)
    #expect(contents.state.endpointSlices == [slice.name: slice])
  }

  @Test(arguments: [
    ("{}", true, true, false),
    ("{ready: null}", true, true, false),
    ("{ready: false}", false, true, false),
    ("{ready: false, terminating: true}", false, true, true),
    ("{ready: true, serving: false, terminating: true}", true, false, true),
    ("{ready: false, serving: true}", false, true, false),
  ])
  func `conditions that are left out have the API's meaning`(
    conditions: String, isReady: Bool, isServing: Bool, isTerminating: Bool
  ) throws {
    let endpoint = try endpoint("{addresses: [10.0.0.1], conditions: \(conditions)}")
    #expect(endpoint?.isReady == isReady)
    #expect(endpoint?.isServing == isServing)
    #expect(endpoint?.isTerminating == isTerminating)
  }

  @Test(arguments: ["0", "101", "many", "+5"]) func `a weight that is none is refused`(weight: String) throws {
    let contents = try contents([
      "slice.yaml": """
      apiVersion: discovery.k8s.io/v1
      kind: EndpointSlice
      metadata: {name: web-1, annotations: {martlet.dev/weight: "\(weight)"}}
      addressType: IPv4
      """
    ])
    #expect(contents.complaints.count == 1)
    #expect(contents.complaints.first?.contains("a whole number from 1 to 100") == true)
  }

  @Test func `an endpoint without conditions, node or hints is ready and nowhere`() throws {
    #expect(try endpoint("{addresses: [10.0.0.1]}") == .init(address: IPAddress(10, 0, 0, 1)))
    #expect(try endpoint("{addresses: [10.0.0.1], nodeName: ''}")?.node == nil)
  }

  private func endpoint(_ endpoint: String) throws -> EndpointSlice.Endpoint? {
    try slice("addressType: IPv4\nendpoints: [\(endpoint)]").slice?.endpoints.first
  }

  private func slice(_ fields: String) throws -> (slice: EndpointSlice?, complaints: [String]) {
    let contents = try contents([
      "slice.yaml": "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\n\(fields)"
    ])
    return (contents.state.endpointSlices[name("s")], contents.complaints)
  }

  @Test func `an endpoint without an address and a port without a number don't count`() throws {
    let found = try slice(
      """
      addressType: IPv4
      endpoints: [{addresses: []}, {addresses: [10.0.0.1]}]
      ports: [{name: a}, {name: b, port: 0}, {name: "", port: 80}]
      """)
    #expect(found.complaints == [])
    #expect(found.slice?.endpoints.map(\.address) == [IPAddress(10, 0, 0, 1)])
    #expect(found.slice?.ports == [.init(port: 80)])
    #expect(found.slice?.serviceName == nil)
  }

  @Test(arguments: ["{port: 80}", "{name: null, port: 80}"])
  func `a port without a name belongs to no port of a service`(port: String) throws {
    let found = try slice("addressType: IPv4\nports: [{name: a, port: 8080}, \(port)]")
    #expect(found.slice?.ports == [.init(name: "a", port: 8080)])
    #expect(
      found.complaints == [
        "slice.yaml: document 1, line 5: EndpointSlice default/s: ports[1]: "
          + "has no name and no effect: write `name: \"\"` for a service's only port"
      ])
  }

  @Test func `lists that are null are empty`() throws {
    let found = try slice("addressType: IPv6\nendpoints: null\nports: null")
    #expect(found.complaints == [])
    #expect(found.slice == EndpointSlice(name: name("s"), serviceName: nil, family: .ipv6))
  }

  @Test func `an address of the other family is kept for what it is, with a warning`() throws {
    let found = try slice("addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [\"fd00::1\"]}]")
    #expect(found.slice?.endpoints.count == 2)
    #expect(
      found.complaints == [
        "slice.yaml: document 1, line 1: EndpointSlice default/s: endpoints: "
          + "fd00::1 has no effect among endpoints with IPv4 addresses"
      ])
  }

  @Test func `endpoints that are domain names are nobody's business`() throws {
    let found = try slice("addressType: FQDN\nendpoints: [{addresses: [example.com]}]")
    #expect(found.slice == nil)
    #expect(found.complaints == [])
  }

  @Test(arguments: [
    ("endpoints: []", "line 1: EndpointSlice default/s: addressType: is missing"),
    ("addressType: IPv5", #"line 4: EndpointSlice default/s: addressType: "IPv5" is not one of IPv4, IPv6, FQDN"#),
    (
      "addressType: IPv4\nendpoints:\n- addresses: [10.0.0.300]",
      #"line 6: EndpointSlice default/s: endpoints[0].addresses[0]: "10.0.0.300" is not an IP address"#
    ),
    (
      "addressType: IPv4\nendpoints:\n- addresses: [10.0.0.1]\n  conditions: {ready: 'true'}",
      #"line 7: EndpointSlice default/s: endpoints[0].conditions.ready: expected true or false, found "true""#
    ),
  ])
  func `a field that is wrong is named`(fields: String, complaint: String) throws {
    #expect(try slice(fields).complaints == ["slice.yaml: document 1, \(complaint)"])
  }
}

struct PodManifestTests {
  private func pod(_ fields: String) throws -> (pod: Workload?, complaints: [String]) {
    let contents = try contents([
      "pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p, uid: u1, labels: {app: web}}\n\(fields)"
    ])
    return (contents.state.workloads[name("p")], contents.complaints)
  }

  @Test func `reads every field that matters`() throws {
    let found = try pod(
      """
      spec:
        nodeName: n1
        serviceAccountName: robot
        containers:
        - {name: c, ports: [{name: http, containerPort: 8080}, {containerPort: 9}, {name: dns, containerPort: 53, protocol: UDP}]}
        - {name: d, ports: [{name: http, containerPort: 8081}]}
        initContainers:
        - {name: once, ports: [{name: setup, containerPort: 1}]}
        - {name: sidecar, restartPolicy: Always, ports: [{name: metrics, containerPort: 9090}]}
      status: {phase: Running, podIP: 10.65.1.11, podIPs: [{ip: 10.65.1.11}, {ip: "fd65::b"}]}
      """)
    #expect(found.complaints == [])
    #expect(
      found.pod
        == Workload(
          name: name("p"), uid: "u1", node: "n1",
          addresses: [IPAddress(10, 65, 1, 11), try #require(IPAddress("fd65::b"))], labels: ["app": "web"],
          ports: [
            .init(name: "http", port: 8080), .init(name: "dns", protocol: .udp, port: 53),
            .init(name: "metrics", port: 9090),
          ], serviceAccount: "robot"))
  }

  @Test func `a pod that isn't placed yet has neither node nor addresses`() throws {
    let found = try pod("spec: {containers: []}\nstatus: {phase: Pending}")
    #expect(found.pod == Workload(name: name("p"), uid: "u1", labels: ["app": "web"]))
  }

  @Test func `the single address counts where the list is missing`() throws {
    #expect(try pod("status: {podIP: 10.0.0.9}").pod?.addresses == [IPAddress(10, 0, 0, 9)])
    #expect(try pod("status: {podIP: ''}").pod?.addresses == [])
  }

  @Test(arguments: [("Pending", false), ("Running", false), ("Unknown", false), ("Succeeded", true), ("Failed", true)])
  func `a pod that has succeeded or failed is finished`(phase: String, isFinished: Bool) throws {
    let pod = try pod("status: {phase: \(phase), podIP: 10.0.0.9}").pod
    #expect(pod?.isFinished == isFinished)
    #expect(pod?.hasOwnAddresses == !isFinished)
  }

  @Test func `a pod on its host's network has no addresses of its own`() throws {
    #expect(try pod("spec: {hostNetwork: true}\nstatus: {podIP: 10.0.0.9}").pod?.hasOwnAddresses == false)
  }
}

struct NodeManifestTests {
  private func node(_ fields: String) throws -> (node: Node?, complaints: [String]) {
    let contents = try contents(["node.yaml": "apiVersion: v1\nkind: Node\n\(fields)"])
    return (contents.state.nodes["n1"], contents.complaints)
  }

  @Test func `reads every field that matters`() throws {
    let found = try node(
      """
      metadata: {name: n1, labels: {topology.kubernetes.io/zone: a}, deletionTimestamp: 2026-01-02T03:04:05Z}
      spec:
        podCIDR: 10.65.1.0/24
        podCIDRs: [10.65.1.0/24, "fd65:0:0:1::/64"]
        taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]
      status:
        addresses:
        - {type: Hostname, address: n1}
        - {type: InternalIP, address: 192.168.50.11}
        - {type: ExternalIP, address: 203.0.113.11}
        - {type: InternalIP, address: "fd50::11"}
        conditions: [{type: MemoryPressure, status: "False"}, {type: Ready, status: Unknown}]
      """)
    #expect(found.complaints == [])
    #expect(
      found.node
        == Node(
          name: "n1",
          addresses: [
            .init(IPAddress(192, 168, 50, 11)), .init(IPAddress(203, 0, 113, 11), kind: .external),
            .init(try #require(IPAddress("fd50::11"))),
          ],
          podPrefixes: [try #require(IPPrefix("10.65.1.0/24")), try #require(IPPrefix("fd65:0:0:1::/64"))],
          labels: [Node.zoneLabel: "a"], taints: [.init(key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule")],
          isReady: false, isBeingDeleted: true))
  }

  @Test func `a node of which nothing is known is ready`() throws {
    #expect(try node("metadata: {name: n1}").node == Node(name: "n1"))
    #expect(try node("metadata: {name: n1}\nspec: {podCIDR: 10.65.1.0/24}").node?.podPrefixes.count == 1)
  }

  @Test func `a node's name has no namespace`() throws {
    let found = try node("metadata: {name: n1}\nspec: {podCIDRs: [10.65.1.0]}")
    #expect(
      found.complaints == [
        #"node.yaml: document 1, line 4: Node n1: spec.podCIDRs[0]: "10.65.1.0" is not a range of addresses (ADDRESS/LENGTH)"#
      ])
  }
}

struct NamespaceManifestTests {
  @Test func `a namespace always has its name for a label`() throws {
    let contents = try contents(["ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {a: b}}"])
    #expect(
      contents.state.namespaces["shop"]
        == Namespace(name: "shop", labels: ["a": "b", "kubernetes.io/metadata.name": "shop"]))
  }
}

struct ServiceCIDRManifestTests {
  @Test func `ranges of cluster IPs are read, and a wrong one is named`() throws {
    let contents = try contents([
      "ranges.yaml": """
      apiVersion: networking.k8s.io/v1
      kind: ServiceCIDR
      metadata: {name: kubernetes}
      spec: {cidrs: [10.96.0.0/16, "fd96::/64"]}
      ---
      apiVersion: networking.k8s.io/v1
      kind: ServiceCIDR
      metadata: {name: wrong}
      spec: {cidrs: [10.96.0.0/33]}
      """
    ])
    #expect(contents.complaints.count == 1)
    #expect(contents.complaints.first?.contains("spec.cidrs[0]") == true)
    let range = ServiceRange(name: "kubernetes", prefixes: ["10.96.0.0/16", "fd96::/64"].compactMap { IPPrefix($0) })
    #expect(contents.state.serviceRanges == ["kubernetes": range])
  }

  @Test func `workloads opt out of connect-time balancing by annotation`() throws {
    let contents = try contents([
      "pods.yaml": """
      apiVersion: v1
      kind: Pod
      metadata: {name: out, namespace: default, annotations: {martlet.dev/connect-time-balancing: disabled}}
      ---
      apiVersion: v1
      kind: Pod
      metadata: {name: "in", namespace: default}
      """
    ])
    #expect(contents.complaints == [])
    #expect(contents.state.workloads[name("out")]?.usesConnectTimeBalancing == false)
    #expect(contents.state.workloads[name("in")]?.usesConnectTimeBalancing == true)
  }
}
