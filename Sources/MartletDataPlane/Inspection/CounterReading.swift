import BPF
import CBPF

/// One counter of the datapath, summed over the CPUs.
public struct CounterReading: Hashable, Sendable, Codable {
  /// Its name: a hook ("from_pod"), an event ("flows_created") or a reason for a drop ("drop_ttl").
  public var name: String
  /// What it counts.
  public var meaning: String
  /// Packets, or events.
  public var packets: UInt64
  /// Bytes of those packets, from the network header on; 0 for events.
  public var bytes: UInt64

  /// Whether it counts packets that were dropped.
  public var isDrop: Bool { name.hasPrefix("drop_") }
}

extension DatapathMaps {
  /// All counters, in the datapath's order.
  public func readCounters() throws(BPFError) -> [CounterReading] {
    var readings: [CounterReading] = []
    for counter in 0..<UInt32(COUNTER_COUNT.rawValue) {
      guard let values = try counters.get(counter) else { continue }
      readings.append(
        CounterReading(
          name: String(cString: cbpf_counter_name(counter)).lowercased(),
          meaning: String(cString: cbpf_counter_meaning(counter)),
          packets: values.sum(\.packets), bytes: values.sum(\.bytes)))
    }
    return readings
  }
}
