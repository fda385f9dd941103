import ArgumentParser

/// The example binary: a node agent, and tools that look into the data plane that it has programmed.
@main
struct Martlet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet",
    abstract: "Kubernetes services in eBPF, with the client's own address in the pod's log.",
    subcommands: [
      AgentCommand.self, ServiceCommand.self, ConntrackCommand.self, CountersCommand.self, PolicyCommand.self,
      ExplainCommand.self,
      PreflightCommand.self, CleanCommand.self, DemoCommand.self, DemoPodCommand.self,
    ])
}
