import MartletKubernetes
import MartletModel
import MartletNetworking
import Testing

private let web = NamespacedName(namespace: "default", name: "web")

/// The service of a manifest whose spec, and whatever else, is given as YAML.
private func service(
  spec: String, metadata: String = "", status: String = ""
) throws -> (service: Service?, complaints: [String]) {
  func indented(_ text: String) -> String {
    text.split(separator: "\n").map { "  \($0)\n" }.joined()
  }
  let contents = try contents([
    "web.yaml": """
    apiVersion: v1
    kind: Service
    metadata:
      name: web
    \(indented(metadata))spec:
    \(indented(spec))status:
    \(indented(status))
    """
  ])
  return (contents.state.services[web], contents.complaints)
}

struct ServiceManifestTests {
  @Test func `reads every field that matters`() throws {
    let found = try service(
      spec: """
        type: LoadBalancer
        clusterIP: 10.96.0.10
        clusterIPs: [10.96.0.10, "fd96::a"]
        ipFamilies: [IPv4, IPv6]
        externalIPs:
        - 198.51.100.7
        ports:
        - name: http
          port: 80
          targetPort: http
          nodePort: 30080
          appProtocol: kubernetes.io/h2c
        - {name: dns, port: 53, protocol: UDP, nodePort: 0}
        sessionAffinity: ClientIP
        sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
        internalTrafficPolicy: Local
        externalTrafficPolicy: Local
        loadBalancerSourceRanges: [" 192.0.2.0/24 ", "2001:db8::1/32"]
        healthCheckNodePort: 31000
        """,
      metadata: """
        annotations:
          martlet.dev/load-balancing: maglev
          martlet.dev/forwarding: dsr
        """,
      status: """
        loadBalancer:
          ingress:
          - ip: 203.0.113.1
          - {ip: 203.0.113.2, ipMode: Proxy}
          - {ip: "2001:db8::5", ipMode: VIP}
          - hostname: lb.example.com
        """)
    #expect(found.complaints == [])
    #expect(
      found.service
        == Service(
          name: web, kind: .loadBalancer,
          clusterIPs: [IPAddress(10, 96, 0, 10), try #require(IPAddress("fd96::a"))],
          externalIPs: [IPAddress(198, 51, 100, 7)],
          loadBalancerIngress: [
            .init(IPAddress(203, 0, 113, 1)), .init(IPAddress(203, 0, 113, 2), mode: .proxy),
            .init(try #require(IPAddress("2001:db8::5"))),
          ],
          ports: [
            .init(name: "http", port: 80, nodePort: 30080), .init(name: "dns", protocol: .udp, port: 53),
          ],
          sessionAffinity: .clientIP(timeout: 60), internalTrafficPolicy: .local, externalTrafficPolicy: .local,
          sourceRanges: [try #require(IPPrefix("192.0.2.0/24")), try #require(IPPrefix("2001:db8::/32"))],
          healthCheckNodePort: 31000, loadBalancing: .maglev, forwarding: .directReturn))
  }

  @Test func `what is left out is what the API server fills in`() throws {
    let found = try service(spec: "clusterIP: 10.96.0.1\nports: [{port: 80}]\nsessionAffinity: ClientIP")
    #expect(found.complaints == [])
    #expect(
      found.service
        == Service(
          name: web, clusterIPs: [IPAddress(10, 96, 0, 1)], ports: [.init(port: 80)],
          sessionAffinity: .clientIP(timeout: 10_800)))
  }

  @Test(arguments: ["clusterIP: None", "clusterIPs: [None]", "clusterIP: None\nclusterIPs: [None]"])
  func `a cluster IP of None is headless`(spec: String) throws {
    let found = try service(spec: spec)
    #expect(found.service == Service(name: web, isHeadless: true))
  }

  @Test(arguments: ["clusterIP: ''", "clusterIPs: []", "clusterIP: null", "type: ClusterIP"])
  func `a cluster IP that isn't allocated is none, and not headless`(spec: String) throws {
    let found = try service(spec: spec)
    #expect(found.service == Service(name: web))
    #expect(found.service?.isProxied() == false)
  }

  @Test func `an alias may hold a stale cluster IP`() throws {
    let found = try service(spec: "type: ExternalName\nexternalName: example.com\nclusterIP: 10.96.0.1")
    #expect(found.complaints == [])
    #expect(found.service?.isProxied() == false)
  }

  @Test func `labels hand a service to somebody else whatever their value`() throws {
    let proxy = try service(
      spec: "clusterIP: 10.96.0.1", metadata: "labels: {service.kubernetes.io/service-proxy-name: ''}")
    #expect(proxy.service?.proxyName == "")
    #expect(proxy.service?.isProxied() == false)
    let headless = try service(spec: "clusterIP: 10.96.0.1", metadata: "labels: {service.kubernetes.io/headless: ''}")
    #expect(headless.service?.isHeadless == true)
  }

  @Test func `the annotation with source ranges counts when the field is empty`() throws {
    let annotation = "annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: ' 10.0.0.0/8 , fd00::/8'}"
    let ranges = [try #require(IPPrefix("10.0.0.0/8")), try #require(IPPrefix("fd00::/8"))]
    #expect(try service(spec: "", metadata: annotation).service?.sourceRanges == ranges)
    let both = try service(spec: "loadBalancerSourceRanges: [192.0.2.0/24]", metadata: annotation)
    #expect(both.service?.sourceRanges == [try #require(IPPrefix("192.0.2.0/24"))])
  }

  @Test func `one number may be two ports if the protocol differs`() throws {
    let found = try service(spec: "ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]")
    #expect(found.complaints == [])
    #expect(found.service?.ports.count == 2)
  }

  @Test(arguments: [
    ("type: Balanced", #"type: "Balanced" is not one of ClusterIP, NodePort, LoadBalancer, ExternalName"#),
    ("clusterIP: 10.96.0.010", #"clusterIP: "10.96.0.010" is not an IP address or None"#),
    ("clusterIPs: [10.96.0.1, x]", #"clusterIPs[1]: "x" is not an IP address or None"#),
    ("ports: [{port: 70000}]", "ports[0].port: 70000 is not a port (1 to 65535)"),
    ("ports: [{port: 0}]", "ports[0].port: 0 is not a port (1 to 65535)"),
    ("ports: [{port: '80'}]", #"ports[0].port: expected a whole number, found "80""#),
    ("ports: [{port: 80.5}]", "ports[0].port: expected a whole number, found the number 80.5"),
    ("ports: [{port: 80, nodePort: -1}]", "ports[0].nodePort: -1 is not a port or 0 (0 to 65535)"),
    ("ports: [{name: a}]", "ports[0].port: is missing"),
    ("ports: {port: 80}", "ports: expected a list, found an object"),
    ("ports: [80]", "ports[0]: expected an object, found the number 80"),
    (
      "ports: [{port: 80, protocol: ICMP}]",
      #"ports[0].protocol: "ICMP" is not a protocol with ports (TCP, UDP or SCTP)"#
    ),
    (
      "ports: [{port: 80, protocol: tcp}]", #"ports[0].protocol: "tcp" is not a protocol with ports (TCP, UDP or SCTP)"#
    ),
    ("ports: [{port: 80}, {port: 81}]", "ports[1].name: is missing, which only a single port may do"),
    ("ports: [{name: a, port: 80}, {name: a, port: 81}]", #"ports[1].name: "a" occurs twice"#),
    ("ports: [{name: a, port: 80}, {name: b, port: 80}]", "ports[1].port: 80/TCP occurs twice"),
    ("ports: [{name: 80, port: 80}]", "ports[0].name: expected a string, found the number 80: put it in quotes"),
    ("externalIPs: [10.0.0.0/8]", #"externalIPs[0]: "10.0.0.0/8" is not an IP address"#),
    ("externalIPs: [null]", "externalIPs[0]: expected a string, found nothing"),
    (
      "loadBalancerSourceRanges: [10.0.0.1]",
      #"loadBalancerSourceRanges[0]: "10.0.0.1" is not a range of addresses (ADDRESS/LENGTH)"#
    ),
    ("sessionAffinity: Cookie", #"sessionAffinity: "Cookie" is not one of None, ClientIP"#),
    (
      "sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}",
      "sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not a time in seconds (1 to 86400)"
    ),
    ("internalTrafficPolicy: Node", #"internalTrafficPolicy: "Node" is not one of Cluster, Local"#),
  ])
  func `a field that is wrong is named with what would be right`(spec: String, complaint: String) throws {
    let contents = try contents([
      "web.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  \(spec)\n"
    ])
    let line = spec.contains("\n") ? 6 : 5
    #expect(contents.complaints == ["web.yaml: document 1, line \(line): Service default/web: spec.\(complaint)"])
    #expect(contents.state.services.isEmpty)
  }

  @Test func `an annotation that is wrong is named`() throws {
    let found = try service(spec: "", metadata: "annotations:\n  martlet.dev/forwarding: fast")
    #expect(
      found.complaints == [
        "web.yaml: document 1, line 6: Service default/web: metadata.annotations[\"martlet.dev/forwarding\"]: "
          + "\"fast\" is not one of default, auto, tunnel, dsr"
      ])
  }
}
