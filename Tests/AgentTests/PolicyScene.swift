import BPFTesting
import Foundation

/// An agent of a node with two pods, a client and a web server with a service, and a few policies for them.
final class PolicyScene {
  let node: AgentProcess.Node
  private var agent: AgentProcess?

  init() throws {
    node = try AgentProcess.Node()
    for (index, pod) in ["web", "client"].enumerated() {
      try node.namespace.ip(
        "link add \(pod) type veth peer name \(pod)-peer", "link set \(pod)-peer up", "link set \(pod) up",
        "route add 10.65.1.1\(index + 1) dev \(pod)", "route add fd65:0:0:1::1\(index + 1) dev \(pod)")
    }
    try node.write(Self.objects, to: "objects.yaml")
    try node.write(Self.policies, to: "policies.yaml")
    agent = try AgentProcess(node)
  }

  /// Ends the agent and removes all.
  func end() {
    agent?.end()
    node.remove()
  }

  /// Ends the agent alone, which gets no time to clear up.
  func killAgent() {
    agent?.end(by: SIGKILL)
    agent = nil
  }

  /// Changes the manifest of policies, and waits until the agent, if it runs, has seen to it.
  func changePolicies(_ change: (String) -> String) throws {
    func write() throws { try node.write(change(Self.policies), to: "policies.yaml") }
    if let agent { try agent.applying(write) } else { try write() }
  }

  /// Runs a command about this node's data plane.
  func martlet(_ arguments: String...) throws -> Command.Result { try martlet(arguments) }

  /// `martlet explain`.
  func explain(_ options: [String]) throws -> Command.Result { try martlet(["explain"] + options) }

  private func martlet(_ arguments: [String]) throws -> Command.Result {
    let command = Command([AgentProcess.binary] + arguments + ["--pin-root", node.pinRoot])
    return try node.namespace.run { try command.run() }
  }

  private static func pod(_ name: String, _ number: Int) -> String {
    """
    apiVersion: v1
    kind: Pod
    metadata: {name: \(name), namespace: shop, uid: \(name), labels: {app: \(name)}}
    spec: {nodeName: n1}
    status: {phase: Running, podIPs: [{ip: 10.65.1.1\(number)}, {ip: "fd65:0:0:1::1\(number)"}]}
    """
  }

  private static func slice(_ family: String, _ address: String) -> String {
    """
    apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: {name: web-\(family), namespace: shop, labels: {kubernetes.io/service-name: web}}
    addressType: \(family)
    endpoints: [{addresses: ["\(address)"], nodeName: n1}]
    ports: [{name: http, port: 8080}]
    """
  }

  private static let objects =
    [
      """
      apiVersion: v1
      kind: Node
      metadata: {name: n1}
      spec: {podCIDRs: [10.65.1.0/24, "fd65:0:0:1::/64"]}
      status: {addresses: [{type: InternalIP, address: 10.0.1.11}]}
      ---
      apiVersion: v1
      kind: Namespace
      metadata: {name: shop}
      ---
      apiVersion: v1
      kind: Service
      metadata: {name: web, namespace: shop}
      spec:
        clusterIPs: [10.96.0.10, "fd96::10"]
        clusterIP: 10.96.0.10
        ipFamilies: [IPv4, IPv6]
        ports: [{name: http, port: 80, targetPort: 8080}]
      """, pod("web", 1), pod("client", 2), slice("IPv4", "10.65.1.11"), slice("IPv6", "fd65:0:0:1::11"),
    ].joined(separator: "\n---\n")

  /// Nobody may use telnet, the server takes what the client asks of its port, and one policy is for nobody here.
  private static let policies = """
    apiVersion: projectcalico.org/v3
    kind: Tier
    metadata: {name: security}
    spec: {order: 10}
    ---
    apiVersion: projectcalico.org/v3
    kind: GlobalNetworkPolicy
    metadata: {name: security.no-telnet}
    spec:
      tier: security
      selector: projectcalico.org/namespace == 'shop'
      types: [Egress]
      egress:
      - {action: Deny, protocol: TCP, destination: {ports: [23]}}
      - {action: Pass}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: web}}
      policyTypes: [Ingress]
      ingress:
      - {from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: 8080}]}
      - {from: [{ipBlock: {cidr: 10.65.0.0/16}}], ports: [{port: 9090}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: elsewhere, namespace: shop}
    spec: {podSelector: {matchLabels: {app: elsewhere}}, policyTypes: [Ingress]}
    """
}
