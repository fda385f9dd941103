import BPF
import CBPF
import TableSupport

/// What an agent has left word of itself for tools: map `agent`.
public enum AgentRecord {
  private static let name = "agent"

  /// The arguments that the agent was started with; `nil` if it has left none.
  ///
  /// Throws ``BPF/BPFError/Kind-swift.struct/notFound`` if there is no data plane under `pins`.
  public static func arguments(pinnedUnder pins: PinFolder) throws(BPFError) -> [String]? {
    let map = try HashMap<UInt32, agent_record>(pinned: pins.map(name))
    guard let record = try map.get(0) else { return nil }
    // SAFETY: an array of characters, read within its size.
    return withUnsafeBytes(of: record.arguments) { bytes in
      bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
  }

  /// Leaves word. Arguments that there is no room for are not recorded at all: half of them would be wrong.
  static func write(_ arguments: [String], under pins: PinFolder) throws(BPFError) {
    let map = try HashMap<UInt32, agent_record>(name: name, capacity: 1)
    let text = arguments.map { $0 + "\0" }.joined()
    if text.utf8.count <= MemoryLayout<agent_record>.size {
      var record = agent_record()
      LayoutText.write(text, into: &record.arguments)
      try map.set(0, record)
    }
    try pins.replace(map, as: name)
  }
}
