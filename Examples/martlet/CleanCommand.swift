import ArgumentParser
import MartletDataPlane

/// `martlet clean`
struct CleanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clean", abstract: "Remove everything that an agent has left in the kernel.",
    discussion: "Run it where the agent ran: in the node's network namespace.")

  @OptionGroup var data: PinOptions

  func run() throws {
    let count = try BPFDataPlane.clean(data.pins)
    print(count == 0 ? "nothing is pinned under \(data.pinRoot)" : "removed \(count) pins under \(data.pinRoot)")
  }
}
