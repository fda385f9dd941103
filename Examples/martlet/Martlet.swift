import ArgumentParser
import Foundation

/// The example binary: a node agent, and tools that look into the data plane that it has programmed.
@main
struct Martlet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet",
    abstract: "Kubernetes services in eBPF, with the client's own address in the pod's log.",
    discussion: """
      Exits with 0; 1 if the answer is no, of commands that ask something; 2 if it failed; 64 if it was written wrongly.
      """,
    subcommands: [
      AgentCommand.self, ServiceCommand.self, ConntrackCommand.self, CountersCommand.self, PolicyCommand.self,
      ExplainCommand.self,
      PreflightCommand.self, CleanCommand.self, DemoCommand.self, DemoPodCommand.self,
    ])

  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      // The parser's own errors, and what has asked for an exit code, which may say "no" by 1.
      if error is ExitCode || exitCode(for: error) != .failure { exit(withError: error) }
      FileHandle.standardError.write(Data("Error: \(error)\n".utf8))
      Foundation.exit(2)
    }
  }
}
