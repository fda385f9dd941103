import ArgumentParser
import DataPlane

/// Which data plane a command is about.
struct PinOptions: ParsableArguments {
  @Option(help: "Folder of a bpf file system that holds the data plane.")
  var pinRoot = PinFolder.standard.root

  var pins: PinFolder { PinFolder(root: pinRoot) }

  /// The maps of the data plane, whether or not its agent runs.
  func openMaps() throws -> DatapathMaps {
    try checkUse()
    return try DatapathMaps(pinnedUnder: pins)
  }

  /// Likewise, of policy.
  func openPolicyMaps() throws -> DatapathPolicyMaps {
    try checkUse()
    return try DatapathPolicyMaps(pinnedUnder: pins)
  }

  private func checkUse() throws {
    guard pins.isInUse else {
      throw ValidationError(
        "no data plane is pinned under \(pinRoot): start one with martlet agent, or name --pin-root")
    }
  }
}
