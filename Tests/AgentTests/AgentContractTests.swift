import BPFTesting
import Foundation
import Testing

/// What whoever runs the binary relies on: its words, its exit codes, and what stays when it goes.
@Suite(.requiresBPF, .serialized) struct AgentContractTests {
  private static let nodeManifest = """
    apiVersion: v1
    kind: Node
    metadata: {name: n1}
    status: {addresses: [{type: InternalIP, address: 10.0.1.11}]}
    """

  private static func service(_ address: String) -> String {
    """
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: default}
    spec: {clusterIP: \(address), ports: [{port: 80}]}
    """
  }

  private struct Listed: Decodable {
    let frontend: String
  }

  private func listed(_ node: AgentProcess.Node) throws -> [String] {
    let result = try node.martlet("service", "list", "--pin-root", node.pinRoot, "--output", "json")
    #expect(result.status == .exited(0), "\(result.errors)")
    return try JSONDecoder().decode([Listed].self, from: Data(result.output.utf8)).map(\.frontend)
  }

  @Test(.timeLimit(.minutes(1))) func onlyOneAgentHasTheTables() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.nodeManifest)
    let agent = try AgentProcess(node)
    defer { agent.end() }
    for spelling in [node.pinRoot, node.pinRoot + "/", node.pinRoot.replacing("/martlet", with: "//martlet")] {
      let second = Command([AgentProcess.binary] + node.agentArguments(["--pin-root", spelling]))
      let result = try node.namespace.run { try second.run() }
      #expect(result.status == .exited(2), "\(spelling)")
      #expect(result.errors.contains("process \(agent.identifier)"), "it names who has them: \(result.errors)")
      #expect(try node.martlet("clean", "--pin-root", spelling).status == .exited(2))
    }
  }

  @Test(.timeLimit(.minutes(1))) func secondDataPlaneBesideTheFirstIsReported() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.nodeManifest)
    let first = try AgentProcess(node)
    defer { first.end() }
    #expect(!first.log.contains { $0.contains("another data plane") })
    let second = try AgentProcess(node, "--pin-root", node.pinRoot + "-2")
    defer { second.end() }
    let complaint = try #require(second.log.first { $0.contains("another data plane's runs before it") })
    for part in ["interface", "attach ", "--pin-root"] { #expect(complaint.contains(part), "\(complaint)") }
  }

  @Test func cleanTouchesNothingButPins() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    let folder = node.folder.appending(path: "maps")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    let file = folder.appending(path: "keep.txt")
    try Data("kept".utf8).write(to: file)
    let result = try node.martlet("clean", "--pin-root", node.folder.path)
    #expect(result.status == .exited(2))
    #expect(result.errors.contains("not in a bpf file system"), "\(result.errors)")
    #expect(try String(contentsOf: file, encoding: .utf8) == "kept")
    // A device that only has the tunnel's name.
    try node.namespace.ip("link add martlet type veth peer name other")
    #expect(try node.martlet("clean", "--pin-root", node.pinRoot).output.contains("nothing is pinned"))
    try node.namespace.ip("link show dev martlet")
  }

  @Test(.timeLimit(.minutes(1))) func tablesOutliveTheAgentUntilTheyAreRemoved() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.nodeManifest)
    try node.write(Self.service("10.96.0.10"), to: "service.yaml")
    let first = try AgentProcess(node)
    #expect(try listed(node) == ["10.96.0.10:80"])
    first.end(by: SIGKILL)
    #expect(try listed(node) == ["10.96.0.10:80"])
    try node.write(Self.service("10.96.0.11"), to: "service.yaml")
    let second = try AgentProcess(node)
    #expect(try listed(node) == ["10.96.0.11:80"])
    second.end()
    #expect(try node.martlet("clean", "--pin-root", node.pinRoot).status == .exited(0))
    #expect(try node.martlet("service", "list", "--pin-root", node.pinRoot).status != .exited(0))
  }

  @Test(.timeLimit(.minutes(1))) func badDocumentIsReportedAndChangesNothing() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.nodeManifest)
    try node.write(Self.service("10.96.0.10"), to: "service.yaml")
    let agent = try AgentProcess(node)
    defer { agent.end() }
    try agent.applying {
      try node.write(
        Self.service("10.96.0.300") + "\n---\n" + Self.service("10.96.0.12").replacing("web", with: "other"),
        to: "service.yaml")
    }
    #expect(Set(try listed(node)) == ["10.96.0.10:80", "10.96.0.12:80"], "the last good version stays, others go on")
    let complaint = try #require(agent.log.first { $0.contains("10.96.0.300") })
    for part in ["service.yaml", "document 1", "line 4", "spec.clusterIP"] { #expect(complaint.contains(part)) }
  }

  @Test(.timeLimit(.minutes(1))) func missingNodeIsReportedOnceEachTime() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.service("10.96.0.10"), to: "service.yaml")
    let agent = try AgentProcess(node)
    defer { agent.end() }
    func reports() -> Int { agent.log.filter { $0.contains("no manifest has a Node named n1") }.count }
    #expect(reports() == 1)
    try agent.applying { try node.write(Self.service("10.96.0.11"), to: "service.yaml") }
    #expect(reports() == 1)
    try agent.applying { try node.write(Self.nodeManifest) }
    #expect(reports() == 1)
    try agent.applying { try node.write("") }
    #expect(reports() == 2)
  }

  @Test(.timeLimit(.minutes(1))) func whatCannotBeIsSaidInOneLine() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.nodeManifest)
    for (options, part) in [
      (["--interface", "eth7"], "eth7"), (["--pin-root", node.folder.path], "bpf"),
      (["--manifests", "/nowhere"], "/nowhere"), (["--manifests", "/etc/passwd"], "/etc/passwd"),
      (["--blocklist", "10.0.0.0/8,10.0.0.1/8"], "write 10.0.0.0/8"),
      (["--service-cidrs", "10.0.0.0/8,,"], "--service-cidrs"),
    ] {
      let command = Command([AgentProcess.binary] + node.agentArguments(options))
      let result = try node.namespace.run { try command.run() }
      #expect(result.status != .exited(0), "\(options)")
      #expect(result.errors.contains(part), "\(options): \(result.errors)")
      #expect(
        result.errors.split(separator: "\n").filter { line in
          !["Usage", "Help", "  See"].contains { line.hasPrefix($0) }
        }
        .count == 1)
    }
  }

  @Test(.timeLimit(.minutes(1))) func preflightSaysWhyNot() throws {
    let node = try AgentProcess.Node()
    defer { node.remove() }
    try node.write(Self.nodeManifest)
    try node.write(
      Self.nodeManifest.replacing("n1", with: "n2").replacing("10.0.1.11", with: "10.0.2.11"), to: "n2.yaml")
    let against = try node.martlet("preflight", "--node", "n1", "--manifests", node.folder.path)
    #expect(against.status == .exited(1))
    #expect(against.output.contains("no route to 10.0.2.11"))
    #expect(against.output.contains("auto means tunnel here"))
  }
}
