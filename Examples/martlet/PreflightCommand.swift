import ArgumentParser
import Foundation
import MartletDataPlane
import MartletKubernetes

/// `martlet preflight`
struct PreflightCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "preflight",
    abstract: "Tell whether replies may return to clients directly, and if not, why.",
    discussion: """
      What services and agents with forwarding "auto" go by. Run it where the agent runs: in the node's network \
      namespace. Exits with 1 if something is against direct return, with 2 if that cannot be told.
      """)

  @Option(help: "This node's name.") var node: String
  @Option(help: "Folder of manifests: *.yaml, *.yml, *.json.") var manifests: String
  @Option(
    name: .customLong("interface"),
    help: "Interface to the network; may be repeated. Default: those with the node's addresses or a default route.")
  var interfaces: [String] = []
  @Option(help: "table or json.") var output = OutputFormat.table

  func run() throws {
    let contents = ManifestFolder(path: manifests).load()
    for problem in contents.problems { FileHandle.standardError.write(Data("\(problem)\n".utf8)) }
    let preflight = try Preflight(nodeName: node, state: contents.state, interfaces: interfaces)
    switch output {
    case .json: try printJSON(preflight.checks)
    case .table: printTable(preflight)
    }
    if !preflight.carriesDirectReturn { throw ExitCode.failure }
  }

  private func printTable(_ preflight: Preflight) {
    var table = TextTable("CHECK", "RESULT", "DETAIL")
    for check in preflight.checks { table.append(check.name, check.passes ? "ok" : "against", check.detail) }
    print(table.text)
    print("auto means \(preflight.carriesDirectReturn ? "dsr" : "tunnel") here")
  }
}
