import BPF
import CBPF
import MartletNetworking
import MartletServices

/// Map `revocations`: what UDP flows rest on no longer.
///
/// A client that goes on sending to a backend that serves no longer sends into the void, and UDP tells nobody. Such flows
/// are not looked for: what has ended is entered here, and each UDP flow that is older looks for itself when its opener's
/// next packet comes. A change costs one entry for each backend, whatever the number of flows.
struct RevocationTable {
  private let map: any MapStorage<revocation_key, UInt32>

  /// Revocations in `map`.
  init(_ map: any MapStorage<revocation_key, UInt32>) { self.map = map }

  /// Enters what `outcome` has ended, as of the service generation after the one in `settings`, and moves that on: flows
  /// that are decided by the tables as they are now are younger. Returns whether there was anything.
  ///
  /// `settings` have to be written to the map of that name afterwards, and not before.
  func enter(_ outcome: ServiceTable.Outcome, _ settings: inout settings) throws(BPFError) -> Bool {
    let keys = Self.keys(outcome)
    guard !keys.isEmpty else { return false }
    let generation = settings.service_generation &+ 1
    try map.update(keys: keys, values: Array(repeating: generation, count: keys.count), mode: .set)
    settings.service_generation = generation
    return true
  }

  private static func keys(_ outcome: ServiceTable.Outcome) -> [revocation_key] {
    var keys = outcome.endedFrontends.map {
      revocation_key(service: $0.service, address: $0.key.address, port: $0.key.port)
    }
    for ended in outcome.endedBackends {
      keys.append(revocation_key(service: ended.service, address: ended.backend.address, port: ended.backend.port))
      // Flows that were sent to the node for it to choose a backend.
      if ended.isLastOnNode && ended.backend.node != 0 {
        keys.append(revocation_key(service: ended.service, node: ended.backend.node))
      }
    }
    return keys
  }
}

extension revocation_key {
  /// A backend or a frontend of a service port.
  init(service: UInt32, address: IPAddress, port: UInt16) {
    self.init()
    self.service = service
    self.address = ip_address(address)
    self.port = port.bigEndian
  }

  /// All backends of a service port on another node.
  init(service: UInt32, node: UInt32) {
    self.init()
    self.service = service
    self.node = node
  }

  /// What a flow rests on: that of the packet that `asked` to go on as `translated`, or through the tunnel to a node. As
  /// `is_revoked()` in `CBPF/datapath/stale.h`.
  static func grounds(_ asked: FlowTuple, _ flow: ModelledFlow) -> [revocation_key] {
    let frontend = revocation_key(service: flow.service, address: asked.destination, port: asked.destinationPort)
    guard flow.service != 0 else { return [frontend] }
    let backend =
      flow.tunnelNode != 0
      ? revocation_key(service: flow.service, node: flow.tunnelNode)
      : revocation_key(
        service: flow.service, address: flow.translated.destination, port: flow.translated.destinationPort)
    return [frontend, backend]
  }
}
