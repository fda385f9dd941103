import ArgumentParser

/// `martlet conntrack list`
struct ConntrackCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conntrack", abstract: "Look at tracked flows.", subcommands: [List.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Every flow, those with the most traffic first.")

    @OptionGroup var data: PinOptions
    @Option(help: "table or json.") var output = OutputFormat.table

    func run() throws {
      let flows = try data.openMaps().readFlows()
      guard output == .table else { return try printJSON(flows) }
      var table = TextTable(
        "PROTOCOL", "STATE", "CLIENT", "DESTINATION", "BACKEND", "SERVICE", "RULES", "PACKETS", "BYTES", "IDLE")
      for flow in flows {
        table.append(
          flow.protocol, flow.isConfirmed ? flow.state : "\(flow.state)*", flow.client, flow.destination,
          flow.backend == flow.destination ? "" : flow.backend, flow.service ?? "",
          [flow.egressRule, flow.ingressRule].compactMap { $0.map(String.init) }.joined(separator: ","),
          "\(flow.packets)/\(flow.replyPackets)", "\(flow.bytes)/\(flow.replyBytes)", "\(Int(flow.idleSeconds)) s")
      }
      print(table.text)
      if flows.contains(where: { !$0.isConfirmed }) { print("* not confirmed: the first to go when room is short") }
    }
  }
}
