import BPFTesting
import Foundation
import Testing

/// `martlet policy`: what whoever looks at a node's policies is told.
@Suite(.requiresBPF, .serialized) struct PolicyCommandTests {
  /// A table for people: its rows, each cell under its column's name.
  private func rows(_ result: Command.Result) throws -> [[String: String]] {
    #expect(result.status == .exited(0), "\(result.errors)")
    let lines = result.output.split(separator: "\n").map(Array.init)
    let header = try #require(lines.first)
    let starts = header.indices.filter { index in
      header[index] != " " && (index == 0 || (header[index - 1] == " " && header[index - 2] == " "))
    }
    func cell(_ line: [Character], _ column: Int) -> String {
      let end = column + 1 < starts.count ? starts[column + 1] : line.count
      let text = starts[column] < line.count ? line[starts[column]..<min(end, line.count)] : []
      return String(text).trimmingCharacters(in: .whitespaces)
    }
    return lines.dropFirst().map { line in
      Dictionary(uniqueKeysWithValues: starts.indices.map { (cell(header, $0), cell(line, $0)) })
    }
  }

  private func json<Value: Decodable>(_ result: Command.Result, _ type: Value.Type = Value.self) throws -> Value {
    #expect(result.status == .exited(0), "\(result.errors)")
    return try JSONDecoder().decode(type, from: Data(result.output.utf8))
  }

  private struct Policy: Decodable, Equatable {
    var tier: String
    var kind: String
    var name: String
    var endpoints: [String]
  }

  private struct RuleSet: Decodable {
    struct Rule: Decodable, Equatable {
      var tier: String
      var policy: String
      var direction: String
      var index: Int
      var action: String
    }

    var endpoint: String
    var stage: String
    var rules: [Rule]
  }

  @Test(.timeLimit(.minutes(1))) func `Policies are listed in the order in which they are asked`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    let expected = [
      Policy(
        tier: "security", kind: "GlobalNetworkPolicy", name: "security.no-telnet",
        endpoints: ["pod shop/client", "pod shop/web"]),
      Policy(tier: "default", kind: "NetworkPolicy", name: "shop/web", endpoints: ["pod shop/web"]),
    ]
    #expect(try json(scene.martlet("policy", "list", "--output", "json")) == expected)
    let rows = try rows(scene.martlet("policy", "list"))
    for column in ["TIER", "KIND", "POLICY", "APPLIES TO"] {
      let cells = expected.map { policy in
        ["TIER": policy.tier, "KIND": policy.kind, "POLICY": policy.name][column]
          ?? policy.endpoints.joined(separator: ", ")
      }
      #expect(rows.map { $0[column] } == cells)
    }
  }

  @Test(.timeLimit(.minutes(1))) func `A policy is shown rule by rule, wherever it applies`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    let own = try rows(scene.martlet("policy", "show", "shop/web"))
    #expect(own.map { $0["RULE"] } == ["Ingress 0", "Ingress 1"])
    #expect(own.map { $0["ACTION"] } == ["Allow", "Allow"])
    for row in own {
      #expect(row["ENDPOINT"] == "pod shop/web" && row["STAGE"] == "ingress")
      #expect(row["TIER"] == "default" && row["POLICY"] == "NetworkPolicy shop/web")
    }
    let sets: [RuleSet] = try json(scene.martlet("policy", "show", "security.no-telnet", "--output", "json"))
    #expect(sets.map(\.endpoint) == ["pod shop/client", "pod shop/web"])
    for set in sets {
      #expect(set.stage == "egress")
      #expect(
        set.rules
          == ["Deny", "Pass"].enumerated().map { index, action in
            .init(
              tier: "security", policy: "GlobalNetworkPolicy security.no-telnet", direction: "Egress", index: index,
              action: action)
          })
    }
  }

  @Test(.timeLimit(.minutes(1))) func `A policy that has no rules is shown where it applies`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    try scene.changePolicies { _ in
      """
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: closed, namespace: shop}
      spec: {podSelector: {}, policyTypes: [Ingress]}
      """
    }
    let rows = try rows(scene.martlet("policy", "show", "shop/closed"))
    #expect(rows.map { $0["ENDPOINT"] } == ["pod shop/client", "pod shop/web"])
    #expect(rows.map { $0["STAGE"] } == ["ingress", "ingress"])
    #expect(rows.map { $0["POLICY"] } == ["(no rules)", "(no rules)"])
  }

  @Test(.timeLimit(.minutes(1))) func `An endpoint is shown with all that judges it, to the end`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    let rows = try rows(scene.martlet("policy", "show", "--endpoint", "shop/web"))
    #expect(Set(rows.map { $0["ENDPOINT"] }) == ["pod shop/web"])
    let ingress = rows.filter { $0["STAGE"] == "ingress" }
    #expect(
      ingress.prefix(3).map { $0["POLICY"] } == ["NetworkPolicy shop/web", "NetworkPolicy shop/web", "(end of tier)"])
    #expect(ingress.prefix(3).map { $0["ACTION"] } == ["Allow", "Allow", "Deny"])
  }

  @Test(.timeLimit(.minutes(1))) func `Policies that change and go are seen to`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    try scene.changePolicies { $0.replacing("{action: Pass}", with: "{action: Deny, protocol: UDP}") }
    let telnet: [RuleSet] = try json(scene.martlet("policy", "show", "security.no-telnet", "--output", "json"))
    #expect(telnet.map { $0.rules.map(\.action) } == [["Deny", "Deny"], ["Deny", "Deny"]])
    try scene.changePolicies { _ in "" }
    #expect(try json(scene.martlet("policy", "list", "--output", "json")) == [Policy]())
    #expect(try scene.martlet("policy", "show", "shop/web").status != .exited(0))
  }

  @Test(.timeLimit(.minutes(1))) func `A name that means nothing here is an error that says so`() throws {
    let scene = try PolicyScene()
    defer { scene.end() }
    for (result, parts) in [
      (try scene.martlet("policy", "show", "shop/nothing"), ["shop/nothing", "martlet policy list"]),
      (try scene.martlet("policy", "show", "shop/elsewhere"), ["shop/elsewhere", "on this node"]),
      (try scene.martlet("policy", "show", "--endpoint", "shop/nobody"), ["shop/nobody", "no pod or host endpoint"]),
      (
        try scene.martlet("policy", "show", "shop/web", "--endpoint", "shop/client"),
        ["shop/web", "does not apply to shop/client"]
      ),
      (try scene.node.martlet("policy", "list", "--pin-root", scene.node.pinRoot + "-2"), ["-2", "no data plane"]),
    ] {
      #expect(result.status != .exited(0))
      #expect(result.output.isEmpty)
      for part in parts { #expect(result.errors.contains(part), "\(result.errors)") }
    }
  }
}
