import BPFTesting
import Foundation
import MartletNetworking
import Testing

/// `martlet explain`: what it says of a packet, and that the programs and the model agree on it.
@Suite(.requiresBPF, .serialized) struct ExplainCommandTests {
  /// A packet from the client pod, what it says of it in words, and who decides.
  private struct Case {
    var options: [String]
    var verdict: String
    var parts: [String]
  }

  private static func cases(_ family: String) -> [Case] {
    let isIPv4 = family == "ipv4"
    let (service, backend) = isIPv4 ? ("10.96.0.10", "10.65.1.11:8080") : ("fd96::10", "[fd65:0:0:1::11]:8080")
    let (asked, answered) = isIPv4 ? ("13", "14") : ("139", "140")
    func tcp(_ destination: String, _ port: String) -> [String] {
      ["--to", destination, "--protocol", "tcp", "--port", port]
    }
    func icmp(_ type: String) -> [String] { ["--to", "shop/web", "--protocol", "icmp", "--icmp-type", type] }
    let endOfTier = "Deny by end of tier default, ingress"
    return [
      Case(
        options: tcp(service, "80"), verdict: "to pod shop/web",
        parts: [
          "service  shop/web:http/TCP: \(backend)", "tier security: GlobalNetworkPolicy security.no-telnet",
          "Allow by tier default, NetworkPolicy shop/web, ingress rule 0",
        ]),
      Case(
        options: tcp("shop/web", "9090"), verdict: isIPv4 ? "to pod shop/web" : "dropped, drop_policy_ingress",
        parts: [isIPv4 ? "Allow by tier default, NetworkPolicy shop/web, ingress rule 1" : endOfTier]),
      Case(options: tcp("shop/web", "81"), verdict: "dropped, drop_policy_ingress", parts: [endOfTier]),
      Case(
        options: tcp("shop/web", "23"), verdict: "dropped, drop_policy_egress",
        parts: ["Deny by tier security, GlobalNetworkPolicy security.no-telnet, egress rule 0"]),
      Case(options: tcp(service, "81"), verdict: "refused", parts: []),
      Case(options: icmp(asked), verdict: "dropped, drop_policy_ingress", parts: [endOfTier]),
      Case(options: icmp(answered), verdict: "dropped, drop_invalid_icmp", parts: []),
      Case(
        options: ["--to", "shop/web", "--protocol", "udp", "--port", "4789"],
        verdict: "dropped, drop_workload_tunnel", parts: []),
      Case(options: ["--to", "shop/web", "--protocol", "41"], verdict: "dropped, drop_workload_tunnel", parts: []),
    ]
  }

  @Test(.timeLimit(.minutes(1)), arguments: ["ipv4", "ipv6"])
  func `A packet is followed by service, policy and rule to its verdict`(family: String) throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    for packet in Self.cases(family) {
      let result = try scene.explain(["--from", "shop/client", "--family", family] + packet.options)
      let comment: Comment = "\(packet.options): \(result.output)\(result.errors)"
      #expect(result.status == .exited(0), comment)
      #expect(result.output.contains("\nverdict  \(packet.verdict)"), comment)
      #expect(result.output.contains("\nmodel    agrees"), comment)
      for part in packet.parts { #expect(result.output.contains(part), comment) }
    }
  }

  private struct Explanation: Decodable {
    struct Step: Decodable {
      var point: String
      var policies: [String]
      var rule: String?
      var decision: String
    }

    var service: String?
    var backends: [String]
    var steps: [Step]
    var verdict: String
    var dropReason: String?
    var disagreements: [String]
  }

  @Test(.timeLimit(.minutes(1))) func `Tools are told the same`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    func explain(_ options: String...) throws -> Explanation {
      let result = try scene.explain(["--from", "shop/client", "--output", "json"] + options)
      #expect(result.status == .exited(0), "\(result.errors)")
      return try JSONDecoder().decode(Explanation.self, from: Data(result.output.utf8))
    }
    let allowed = try explain("--to", "10.96.0.10", "--port", "80")
    #expect(allowed.service == "shop/web:http/TCP" && allowed.backends == ["10.65.1.11:8080"])
    #expect(allowed.steps.map(\.point) == ["workload shop/client, egress", "workload shop/web, ingress"])
    #expect(allowed.steps.map(\.decision) == ["Allow", "Allow"])
    #expect(allowed.steps.last?.policies == ["tier default: NetworkPolicy shop/web"])
    #expect(allowed.steps.last?.rule == "tier default, NetworkPolicy shop/web, ingress rule 0")
    #expect(allowed.verdict == "to pod shop/web" && allowed.dropReason == nil && allowed.disagreements.isEmpty)
    let denied = try explain("--to", "shop/web", "--port", "23")
    #expect(denied.service == nil && denied.backends.isEmpty)
    #expect(denied.steps.map(\.decision) == ["Deny"])
    #expect(denied.steps.first?.rule == "tier security, GlobalNetworkPolicy security.no-telnet, egress rule 0")
    #expect(denied.verdict == "dropped" && denied.dropReason?.hasPrefix("drop_policy_egress: ") == true)
    #expect(denied.disagreements.isEmpty)
  }

  @Test(.timeLimit(.minutes(1))) func `Each family's ICMP has its name`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    for (family, number) in [
      ("ipv4", "icmp"), ("ipv6", "icmp"), ("ipv6", "ICMPv6"), ("ipv4", "icmpv6"), ("ipv4", "58"),
    ] {
      let result = try scene.explain(
        ["--from", "shop/client", "--to", "shop/web", "--protocol", number, "--family", family])
      #expect(result.status == .exited(0), "\(family) \(number): \(result.errors)")
      let isIPv4 = family == "ipv4" && number == "icmp"
      #expect(
        result.output.hasPrefix(
          "packet   \(isIPv4 ? "ICMP type 8 code 0 from 10." : "ICMPv6 type 128 code 0 from fd65:")"),
        "\(family) \(number): \(result.output)")
    }
  }

  @Test(.timeLimit(.minutes(1))) func `What is untracked is asked about where it passes, and nowhere else`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    try scene.changePolicies { _ in
      """
      apiVersion: projectcalico.org/v3
      kind: HostEndpoint
      metadata: {name: host, labels: {host: n1}}
      spec: {node: n1, interfaceName: "*"}
      ---
      apiVersion: projectcalico.org/v3
      kind: GlobalNetworkPolicy
      metadata: {name: open}
      spec: {selector: has(host), order: 20, ingress: [{action: Allow}], egress: [{action: Allow}]}
      ---
      apiVersion: projectcalico.org/v3
      kind: GlobalNetworkPolicy
      metadata: {name: untracked}
      spec:
        selector: has(host)
        order: 10
        doNotTrack: true
        applyOnForward: true
        ingress: [{action: Deny, protocol: TCP, destination: {ports: [8081]}}]
        egress: [{action: Deny, protocol: TCP, destination: {ports: [8082]}}]
      """
    }
    for (from, to, port, passes) in [
      ("n1", "10.0.1.100", "8081", true), ("n1", "10.0.1.100", "8082", false),
      ("10.0.1.100", "n1", "8081", false), ("10.0.1.100", "n1", "8082", true),
      ("n1", "shop/client", "8081", true), ("n1", "shop/client", "8082", true),
      ("n1", "n1", "8081", true), ("n1", "n1", "8082", true),
    ] {
      let result = try scene.explain(["--from", from, "--to", to, "--port", port])
      #expect(result.status == .exited(0), "\(from) to \(to) \(port): \(result.output)\(result.errors)")
      #expect(result.output.contains("dropped") != passes, "\(from) to \(to) \(port): \(result.output)")
    }
  }

  /// The agent has been killed, and does not know yet.
  @Test(.timeLimit(.minutes(1))) func `Where manifests say something else than the programs, it says so`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    scene.killAgent()
    try scene.changePolicies { _ in "" }
    let result = try scene.explain(["--from", "shop/client", "--to", "shop/web", "--port", "23"])
    #expect(result.status == .exited(1))
    #expect(result.output.contains("\nmodel    DISAGREES: "), "\(result.output)")
  }

  @Test(.timeLimit(.minutes(1))) func `Interfaces have the policies that name them`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    try scene.changePolicies { _ in
      """
      apiVersion: projectcalico.org/v3
      kind: HostEndpoint
      metadata: {name: web, labels: {host: web}}
      spec: {node: n1, interfaceName: web, profiles: [projectcalico-default-allow]}
      ---
      apiVersion: projectcalico.org/v3
      kind: GlobalNetworkPolicy
      metadata: {name: web}
      spec:
        selector: host == 'web'
        applyOnForward: true
        egress: [{action: Deny, protocol: TCP, destination: {ports: [8081]}}, {action: Allow}]
      """
    }
    for (options, passes) in [
      (["--to", "10.96.0.10", "--port", "80"], true), (["--to", "shop/web", "--port", "8081"], false),
    ] {
      let result = try scene.explain(["--from", "shop/client"] + options)
      #expect(result.status == .exited(0), "\(options): \(result.output)\(result.errors)")
      #expect(result.output.contains("host endpoint web"), "\(options): \(result.output)")
      #expect(result.output.contains("dropped") != passes, "\(options): \(result.output)")
    }
  }

  @Test(.timeLimit(.minutes(1)), arguments: ["", "*", "eth0"])
  func `ICMP messages of all sorts are judged as what they are`(interface: String) throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    if !interface.isEmpty {
      try scene.changePolicies { _ in
        """
        apiVersion: projectcalico.org/v3
        kind: HostEndpoint
        metadata: {name: host, labels: {host: n1}}
        spec: {node: n1, interfaceName: "\(interface)", profiles: [projectcalico-default-allow]}
        """
      }
    }
    for type in ["0", "3", "8", "11", "13", "14"] {
      for (from, to) in [
        ("10.0.1.100", "n1"), ("n1", "10.0.1.100"), ("10.0.1.100", "shop/web"), ("shop/client", "shop/web"),
      ] {
        let result = try scene.explain(["--from", from, "--to", to, "--protocol", "icmp", "--icmp-type", type])
        #expect(result.status == .exited(0), "\(type) \(from) to \(to): \(result.output)\(result.errors)")
      }
    }
  }

  /// It would be asked about, and changed.
  @Test(.timeLimit(.minutes(1))) func `A flow that is running is left alone`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    let peer = try scene.node.namespace.interface("client-peer")
    let opening = PacketBuilder().ethernet(to: try scene.node.namespace.interface("client").mac)
      .ip(from: IPAddress(10, 65, 1, 12), to: IPAddress(10, 65, 1, 11)).tcp(from: 40_000, to: 8080, flags: .syn)
    try PacketSocket(peer).send(opening.bytes)
    func explain(_ port: String) throws -> Command.Result {
      try scene.explain(["--from", "shop/client", "--to", "shop/web", "--port", "8080", "--source-port", port])
    }
    for _ in 0..<2 {
      let result = try explain("40000")
      #expect(result.status == .exited(2))
      #expect(result.errors.contains("is running, to pod shop/web"), "\(result.errors)")
    }
    #expect(try explain("40001").status == .exited(0))
  }

  @Test(.timeLimit(.minutes(1))) func `What it does not understand is an error that says so`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    for (options, part) in [
      (["--from", "shop/nobody", "--to", "shop/web", "--port", "80"], "shop/nobody is neither an address nor a pod"),
      (["--from", "shop/client", "--to", "n9", "--port", "80"], "n9 is neither an address nor a pod"),
      (["--from", "shop/client", "--to", "shop/web", "--protocol", "tcq", "--port", "80"], "\"tcq\" is not one of"),
      (["--from", "shop/client", "--to", "shop/web", "--protocol", "tcp"], "needs --port"),
      (["--from", "10.65.1.12", "--to", "fd96::10", "--port", "80"], "no addresses of one family"),
    ] {
      let result = try scene.explain(options)
      #expect(![.exited(0), .exited(1)].contains(result.status), "\(options): 1 is for who disagrees")
      #expect(result.output.isEmpty, "\(options)")
      #expect(result.errors.contains(part), "\(options): \(result.errors)")
    }
  }
}
