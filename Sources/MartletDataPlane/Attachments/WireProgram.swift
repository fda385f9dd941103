import BPF
import BPFPrograms

/// The program of the first hook of a NIC, ahead of the kernel's own buffers.
///
/// It only drops, and nothing that the tc hook would not drop as well by the same tables. So it is attached only where
/// there is something to be dropped before connections are tracked, and a NIC that does not take it is none the worse.
enum WireProgram {
  /// Its name.
  static let name = "from_wire"

  /// Loads it to share the maps of `object`. Each has its own working memory.
  static func load(sharing object: borrowing Object) throws(BPFError) -> LoadedProgram {
    let opening = try OpenObject(hexadecimal: BPFPrograms.xdp, name: "xdp")
    for name in opening.mapNames where !name.hasPrefix(".") && name != "policy_scratches" {
      let descriptor = try object.mapDescriptor(named: name)
      // Whoever created the map chose its size.
      try opening.resize(map: name, to: UInt32(MapInfo(of: descriptor).maxEntries))
      try opening.reuse(map: name, descriptor: descriptor)
    }
    return LoadedProgram(try opening.load().program(named: name))
  }
}
