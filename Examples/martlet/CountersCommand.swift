import ArgumentParser

/// `martlet counters`
struct CountersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "counters", abstract: "Packets by hook, and drops by reason.")

  @OptionGroup var data: PinOptions
  @Option(help: "table or json.") var output = OutputFormat.table
  @Flag(help: "Counters that are zero as well.") var all = false

  func run() throws {
    let counters = try data.openMaps().readCounters()
    guard output == .table else { return try printJSON(counters) }
    var table = TextTable("COUNTER", "PACKETS", "BYTES", "MEANING")
    for counter in counters where all || counter.packets > 0 {
      table.append(counter.name, "\(counter.packets)", "\(counter.bytes)", counter.meaning)
    }
    print(table.text)
  }
}
