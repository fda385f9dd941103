import MartletModel
import MartletNetworking

/// A protocol and a port of it, of which a written rule lists several.
struct ProtocolPort {
  /// `nil`: every protocol that has a port of that name.
  var `protocol`: L4Protocol?
  /// `nil`: every port.
  var port: EntityMatch.PortMatch?
}

extension PolicyRule {
  /// Rules that together match what has one of `peers` at the other end, and one of `ports` at the receiver.
  ///
  /// - Parameters:
  ///   - peers: Who is at the other end; at least one.
  ///   - ports: `nil`: every protocol.
  static func alternatives(
    _ action: Action, _ direction: PolicyDirection, peers: [EntityMatch], ports: [ProtocolPort]?
  ) -> [PolicyRule] {
    let groups = ports.map(grouped) ?? [(nil, nil)]
    return peers.flatMap { peer in
      groups.map { group in
        var receiver = direction == .egress ? peer : EntityMatch()
        receiver.ports = group.ports
        let sender = direction == .ingress ? peer : EntityMatch()
        return PolicyRule(action, protocol: group.protocol, source: sender, destination: receiver)
      }
    }
  }

  /// One element for each protocol, in the order in which they first occur: one rule serves all ports of a protocol.
  private static func grouped(
    _ ports: [ProtocolPort]
  ) -> [(protocol: L4Protocol?, ports: [EntityMatch.PortMatch]?)] {
    var protocols: [L4Protocol?] = []
    for port in ports where !protocols.contains(port.protocol) { protocols.append(port.protocol) }
    return protocols.map { `protocol` in
      let ofProtocol = ports.filter { $0.protocol == `protocol` }
      let isEveryPort = ofProtocol.contains { $0.port == nil }
      return (`protocol`, isEveryPort ? nil : ofProtocol.compactMap(\.port))
    }
  }
}

extension Selector {
  /// The workloads that Kubernetes runs, in namespaces and with labels that match: what its own policies mean by pods.
  static func pods(namespaces: Selector = .all, pods: Selector = .all) -> Selector {
    let conditions = [.equals(PolicyLabel.orchestrator, "k8s"), namespaces, pods]
    return Selector.and(conditions.filter { $0 != .all }).canonical
  }
}
