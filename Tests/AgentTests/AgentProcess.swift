import BPFTesting
import Foundation

/// `martlet agent` as a process of its own, in a network namespace with one interface.
final class AgentProcess {
  /// A node without pods, and what its agents share.
  struct Node {
    let namespace: NetworkNamespace
    let pins: TemporaryBPFFilesystem
    let folder: URL

    init() throws {
      namespace = try NetworkNamespace()
      try namespace.ip(
        "link set lo up", "link add eth0 type veth peer name eth0-peer", "link set eth0-peer up", "link set eth0 up",
        "address add 10.0.1.11/24 dev eth0")
      pins = try TemporaryBPFFilesystem()
      folder = FileManager.default.temporaryDirectory.appendingPathComponent("agent-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    var pinRoot: String { "\(pins.path)/martlet" }

    /// Replaces the manifest `name` at one stroke.
    func write(_ text: String, to name: String = "state.yaml") throws {
      try Data(text.utf8).write(to: folder.appendingPathComponent(name), options: .atomic)
    }

    /// A command of the binary, run to its end.
    func martlet(_ arguments: String...) throws -> Command.Result {
      let command = Command([AgentProcess.binary] + arguments)
      return try namespace.run { try command.run() }
    }

    /// What the agent of this node is started with, besides `options`.
    func agentArguments(_ options: [String]) -> [String] {
      ["agent", "--node", "n1", "--manifests", folder.path, "--pin-root", pinRoot] + options
    }

    func remove() {
      try? FileManager.default.removeItem(at: folder)
    }
  }

  /// Beside the tests, which depend on it.
  static let binary = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
    .appendingPathComponent("martlet").path

  private let process = Process()
  private let output: URL
  private let errors: URL

  /// Starts an agent and waits until it is ready.
  init(_ node: Node, _ options: String...) throws {
    output = node.folder.appendingPathExtension("out")
    errors = node.folder.appendingPathExtension("err")
    for file in [output, errors] { try Data().write(to: file) }
    process.executableURL = URL(fileURLWithPath: Self.binary)
    process.arguments = node.agentArguments(options)
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    process.standardInput = FileHandle.nullDevice
    let process = process
    try node.namespace.run { try process.run() }
    try wait { self.lines(self.output).contains("ready") }
  }

  var identifier: Int32 { process.processIdentifier }

  /// Does what `body` says, and waits until the agent has programmed what has changed.
  func applying(_ body: () throws -> Void) throws {
    let before = lines(output).filter { $0 == "synced" }.count
    try body()
    try wait { self.lines(self.output).filter { $0 == "synced" }.count > before }
  }

  /// What it has logged.
  var log: [String] { lines(errors) }

  /// Ends it, and removes what it has written.
  func end(by signal: Int32 = SIGTERM) {
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    for file in [output, errors] { try? FileManager.default.removeItem(at: file) }
  }

  private func lines(_ file: URL) -> [String] {
    ((try? String(contentsOf: file, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
  }

  struct Late: Error, CustomStringConvertible {
    let log: [String]
    var description: String { "the agent does not say so; it logs:\n\(log.joined(separator: "\n"))" }
  }

  private func wait(until isDone: () -> Bool) throws {
    let end = ContinuousClock.now + .seconds(20)
    while !isDone() {
      guard ContinuousClock.now < end, process.isRunning else { throw Late(log: log) }
      Thread.sleep(forTimeInterval: 0.02)
    }
  }
}
