import ArgumentParser
import MartletDataPlane

/// Which data plane a command is about.
struct PinOptions: ParsableArguments {
  @Option(help: "Folder of a bpf file system that holds the data plane.")
  var pinRoot = PinFolder.standard.root

  var pins: PinFolder { PinFolder(root: pinRoot) }

  /// The maps of the data plane, whether or not its agent runs.
  func openMaps() throws -> DatapathMaps {
    try pins.requireUse()
    return try DatapathMaps(pinnedUnder: pins)
  }

  /// Likewise, of policy.
  func openPolicyMaps() throws -> DatapathPolicyMaps {
    try pins.requireUse()
    return try DatapathPolicyMaps(pinnedUnder: pins)
  }
}
