import ArgumentParser

/// `martlet service list`
struct ServiceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service", abstract: "Look at services.", subcommands: [List.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Every frontend and its backends.")

    @OptionGroup var data: PinOptions
    @Option(help: "table or json.") var output = OutputFormat.table

    func run() throws {
      let frontends = try data.openMaps().readFrontends()
      guard output == .table else { return try printJSON(frontends) }
      var table = TextTable("SERVICE", "FRONTEND", "PROTOCOL", "BACKENDS", "PROPERTIES")
      for frontend in frontends {
        let affinity = frontend.affinitySeconds > 0 ? ["affinity \(frontend.affinitySeconds) s"] : []
        table.append(
          frontend.service, frontend.frontend, frontend.protocol,
          frontend.backends.isEmpty ? "none" : frontend.backends.joined(separator: " "),
          (frontend.properties + affinity).joined(separator: ", "))
      }
      print(table.text)
    }
  }
}
