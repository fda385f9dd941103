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
    /// Slots of pods that are gone.
    var slots: Set<UInt32> = []
    /// Where UDP flows of a service port went that are to be forgotten, by backend.
    private var backends: Set<Place> = []
    /// Likewise, by frontend.
    private var frontends: Set<Place> = []
    /// Likewise, by the other node that was to choose the backend.
    private var nodes: Set<Elsewhere> = []

    private struct Place: Hashable {
      let service: UInt32
      let address: IPAddress
      let port: UInt16
    }

    private struct Elsewhere: Hashable {
      let service: UInt32
      let node: UInt32
    }

    /// Flows of pods in these slots.
    init(slots: Set<UInt32>) { self.slots = slots }

    /// Flows that what has changed about services leaves with a wrong translation, or with none.
    init(_ outcome: ServiceTable.Outcome) {
      backends = Set(
        outcome.endedBackends.map { Place(service: $0.service, address: $0.backend.address, port: $0.backend.port) })
      frontends = Set(
        outcome.endedFrontends.map { Place(service: $0.service, address: $0.key.address, port: $0.key.port) })
      let elsewhere = outcome.endedBackends.filter { $0.isLastOnNode && $0.backend.node != 0 }
      nodes = Set(elsewhere.map { Elsewhere(service: $0.service, node: $0.backend.node) })
    }

    var isEmpty: Bool { backends.isEmpty && slots.isEmpty && frontends.isEmpty }

    /// Whether a half is selected: packets with `asked` go on as `translated`, through the tunnel to `node` if not 0.
    func contains(
      _ asked: FlowTuple, to translated: FlowTuple, service: UInt32, endpoint: UInt32, node: UInt32, isOpener: Bool
    ) -> Bool {
      if endpoint != 0 && slots.contains(endpoint) { return true }
      guard isOpener, asked.protocol == .udp else { return false }
      return backends.contains(
        Place(service: service, address: translated.destination, port: translated.destinationPort))
        || frontends.contains(Place(service: service, address: asked.destination, port: asked.destinationPort))
        || node != 0 && nodes.contains(Elsewhere(service: service, node: node))
    }

    func contains(_ key: flow_tuple, _ flow: flow) -> Bool {
      contains(
        FlowTuple(key), to: FlowTuple(key.partner(of: flow)).reversed, service: flow.service, endpoint: flow.endpoint,
        node: flow.tunnel_node, isOpener: UInt32(flow.flags) & FLOW_OPENER.rawValue != 0)
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
