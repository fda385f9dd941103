import BPF
import CBPF
import Networking
import Services

/// Forgets flows that must not go on: those of a UDP backend that serves no longer, whose client would otherwise send
/// into the void, and those of pods that are gone.
struct FlowCleaner {
  let maps: DatapathMaps

  /// Which flows to forget.
  struct Selection {
    /// Flows of a service port to one of these backends.
    var backends: Set<ServiceTable.EndedBackend> = []
    /// Slots of pods that are gone.
    var slots: Set<UInt32> = []

    var isEmpty: Bool { backends.isEmpty && slots.isEmpty }

    func contains(_ key: flow_tuple, _ flow: flow) -> Bool {
      if flow.endpoint != 0 && slots.contains(flow.endpoint) { return true }
      guard flow.service != 0, !backends.isEmpty, key.protocol == UInt8(L4Protocol.udp.rawValue) else { return false }
      // The backend is where the opener's half goes, and where the reply's comes from.
      let isOpener = UInt32(flow.flags) & FLOW_OPENER.rawValue != 0
      let (address, port) = isOpener ? (flow.destination, flow.destination_port) : (key.source, key.source_port)
      return backends.contains {
        $0.service == flow.service && $0.backend.address == IPAddress(address)
          && $0.backend.port == UInt16(bigEndian: port)
      }
    }
  }

  /// Removes both halves of the selected flows; returns how many flows there were.
  @discardableResult
  func forget(_ selection: Selection) throws(BPFError) -> Int {
    guard !selection.isEmpty else { return 0 }
    var confirmed: [flow_tuple] = []
    var unconfirmed: [flow_tuple] = []
    try maps.flows.forEach { key, value throws(BPFError) in
      if selection.contains(key, value.flow) { confirmed += [key, key.partner(of: value.flow)] }
    }
    try maps.unconfirmedFlows.forEach { key, value throws(BPFError) in
      if selection.contains(key, value) { unconfirmed += [key, key.partner(of: value)] }
    }
    // One by one: a half may be gone already, and a batch stops at the first that is.
    for key in confirmed { try maps.flows.remove(key) }
    for key in unconfirmed { try maps.unconfirmedFlows.remove(key) }
    return (confirmed.count + unconfirmed.count) / 2
  }
}

extension flow_tuple {
  /// The key of the other half of `flow`, which is under this one: its translated tuple, reversed.
  func partner(of flow: flow) -> flow_tuple {
    var partner = self
    partner.source = flow.destination
    partner.destination = flow.source
    partner.source_port = flow.destination_port
    partner.destination_port = flow.source_port
    return partner
  }
}
