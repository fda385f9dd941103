import BPFTesting
import Foundation
import Testing

/// What load balancers and the kubelet are answered over HTTP.
@Suite(.requiresBPF, .serialized) struct HealthServerTests {
  /// The objects of a node with one service that load balancers ask about.
  private static func manifest(
    policy: String = "Local", conditions: String = "{ready: true}", taints: String = "[]"
  ) -> String {
    """
    apiVersion: v1
    kind: Node
    metadata: {name: n1}
    spec: {taints: \(taints)}
    status: {addresses: [{type: InternalIP, address: 10.0.1.11}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec:
      type: LoadBalancer
      clusterIP: 10.96.0.10
      externalTrafficPolicy: \(policy)
      healthCheckNodePort: 31000
      ports: [{port: 80, nodePort: 30080}]
    ---
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
    addressType: IPv4
    endpoints:
    - {addresses: [10.65.1.11], nodeName: n1, conditions: \(conditions)}
    - {addresses: [10.65.2.11], nodeName: n2}
    ports: [{port: 8080}]
    """
  }

  private struct Answer {
    let status: Int
    let headers: [String]
    let body: String
  }

  /// `nil` if nobody listens.
  private func ask(_ node: AgentProcess.Node, _ port: Int, _ path: String = "/healthz") throws -> Answer? {
    let command = Command(["curl", "--silent", "--include", "--max-time", "5", "http://10.0.1.11:\(port)\(path)"])
    let result = try node.namespace.run { try command.run() }
    // 7: could not connect.
    if result.status == .exited(7) { return nil }
    let parts = result.output.split(separator: "\r\n\r\n", maxSplits: 1)
    let head = try #require(parts.first, "\(result)").split(separator: "\r\n").map(String.init)
    let status = try #require(head.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
    return Answer(
      status: status, headers: head.dropFirst().map { $0.lowercased() }, body: parts.dropFirst().joined())
  }

  @Test(.timeLimit(.minutes(1))) func loadBalancersAndTheKubeletAreAnswered() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.manifest())
    let agent = try AgentProcess(node)
    defer { agent.end() }

    let healthy = try #require(try ask(node, 31000))
    #expect(healthy.status == 200)
    #expect(healthy.headers.contains("x-load-balancing-endpoint-weight: 1"))
    #expect(healthy.headers.contains("content-type: application/json"))
    #expect(
      healthy.body
        == #"{"localEndpoints":1,"service":{"name":"web","namespace":"shop"},"serviceProxyHealthy":true}"#)
    #expect(try ask(node, 10256)?.status == 200)
    #expect(try ask(node, 10256, "/livez")?.status == 200)
    #expect(try ask(node, 10256, "/other")?.status == 404)

    try agent.applying { try node.write(Self.manifest(conditions: "{ready: false, serving: true, terminating: true}")) }
    let draining = try #require(try ask(node, 31000))
    #expect(draining.status == 503, "an endpoint that terminates gets no new clients")
    #expect(draining.headers.contains("x-load-balancing-endpoint-weight: 0"))

    try agent.applying {
      try node.write(Self.manifest(taints: "[{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]"))
    }
    #expect(try ask(node, 10256)?.status == 503, "load balancers turn away from a node that goes")
    #expect(try ask(node, 10256, "/livez")?.status == 200, "but nobody restarts it")
    #expect(try ask(node, 31000)?.status == 200)

    try agent.applying { try node.write(Self.manifest(policy: "Cluster")) }
    try expectClosed(node, 31000)
  }

  /// The listener is told to close, and does so in its own time.
  private func expectClosed(_ node: AgentProcess.Node, _ port: Int) throws {
    let end = ContinuousClock.now + .seconds(5)
    while try ask(node, port) != nil, ContinuousClock.now < end { Thread.sleep(forTimeInterval: 0.05) }
    #expect(try ask(node, port) == nil, "nobody is to ask at that port any more")
  }

  @Test(.timeLimit(.minutes(1))) func noPortMeansNoHealthChecks() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.manifest())
    let agent = try AgentProcess(node, "--health-port", "0")
    defer { agent.end() }
    #expect(try ask(node, 31000) == nil)
    #expect(try ask(node, 10256) == nil)
  }
}
