import BPF
import CBPF
import MartletNetworking

/// A flow as the datapath tracks it, both directions together.
public struct FlowReading: Hashable, Sendable, Codable {
  /// An address and port, as text: "10.0.0.1:80", "[fd00::1]:80".
  public typealias Socket = String

  /// TCP, UDP, ….
  public var `protocol`: String
  /// new, replied, established, closing or closed.
  public var state: String
  /// Whether the opener has answered the answer.
  public var isConfirmed: Bool
  /// Who opened it, as it is known to others than the backend.
  public var client: Socket
  /// Whom the opener talks to: for a service, the service.
  public var destination: Socket
  /// Where packets really go: for a service, the backend.
  public var backend: Socket
  /// The source that the backend sees; other than `client` only for a pod that reaches itself, or after a collision.
  public var sourceSeen: Socket
  /// The service port, if one chose the backend.
  public var service: String?
  /// Packets from the opener.
  public var packets: UInt64
  /// Bytes from the opener, from the network header on.
  public var bytes: UInt64
  /// Packets to the opener.
  public var replyPackets: UInt64
  /// Bytes to the opener, from the network header on.
  public var replyBytes: UInt64
  /// Seconds since the last packet in either direction.
  public var idleSeconds: Double
  /// The id of the rule that let the flow leave its source; `nil` if none was asked.
  public var egressRule: UInt32?
  /// The id of the rule that let the flow enter its destination; `nil` if none was asked.
  public var ingressRule: UInt32?
}

extension DatapathMaps {
  /// All flows, those with the most traffic first.
  ///
  /// Reads the tables in batches while packets go on, so the two halves of a flow may be read a moment apart.
  public func readFlows() throws(BPFError) -> [FlowReading] {
    var halves: [TupleKey: (tuple: flow_tuple, flow: flow, isConfirmed: Bool)] = [:]
    try unconfirmedFlows.forEach { key, value throws(BPFError) in
      halves[TupleKey(key)] = (key, value, false)
    }
    try flows.forEach { key, value throws(BPFError) in
      halves[TupleKey(key)] = (key, value.flow, true)
    }
    let names = try readServiceNames()
    let tick = try KernelTick.shared()
    let now = try tick.now()
    return halves.values
      .filter { UInt32($0.flow.flags) & FLOW_OPENER.rawValue != 0 }
      .map { half in
        let reply = halves[TupleKey(half.tuple.partner(of: half.flow))]?.flow
        return FlowReading(
          half.tuple, half.flow, reply, isConfirmed: half.isConfirmed, service: names[half.flow.service],
          idleSeconds: min(
            tick.secondsSince(half.flow.last_seen, now: now),
            reply.map { tick.secondsSince($0.last_seen, now: now) } ?? .infinity))
      }
      .sorted { ($0.bytes + $0.replyBytes, $1.client) > ($1.bytes + $1.replyBytes, $0.client) }
  }
}

/// A tuple as a dictionary key.
private struct TupleKey: Hashable {
  let words: [UInt64]

  init(_ tuple: flow_tuple) {
    let ports =
      UInt64(tuple.source_port) << 48 | UInt64(tuple.destination_port) << 32 | UInt64(tuple.zone) << 24
      | UInt64(tuple.protocol) << 16 | UInt64(tuple.icmp_query) << 8 | UInt64(tuple.icmp_answer)
    words = [tuple.source.high, tuple.source.low, tuple.destination.high, tuple.destination.low, ports]
  }
}

extension FlowReading {
  fileprivate init(
    _ tuple: flow_tuple, _ flow: flow, _ reply: flow?, isConfirmed: Bool, service: String?, idleSeconds: Double
  ) {
    self.init(
      protocol: "\(L4Protocol(rawValue: tuple.protocol))",
      state: Self.stateName(flow.state), isConfirmed: isConfirmed,
      client: Self.socket(tuple.source, tuple.source_port),
      destination: Self.socket(tuple.destination, tuple.destination_port),
      backend: Self.socket(flow.destination, flow.destination_port),
      sourceSeen: Self.socket(flow.source, flow.source_port), service: service,
      packets: flow.packets, bytes: flow.bytes, replyPackets: reply?.packets ?? 0, replyBytes: reply?.bytes ?? 0,
      idleSeconds: max(0, idleSeconds), egressRule: flow.egress_rule == 0 ? nil : flow.egress_rule,
      ingressRule: flow.ingress_rule == 0 ? nil : flow.ingress_rule)
  }

  private static func socket(_ address: ip_address, _ port: UInt16) -> Socket {
    socketText(IPAddress(address), port: UInt16(bigEndian: port))
  }

  private static func stateName(_ state: UInt8) -> String {
    switch flow_state(rawValue: UInt32(state)) {
    case FLOW_NEW: "new"
    case FLOW_REPLIED: "replied"
    case FLOW_ESTABLISHED: "established"
    case FLOW_CLOSING: "closing"
    case FLOW_CLOSED: "closed"
    default: "state \(state)"
    }
  }
}

/// "address:port", IPv6 in brackets.
func socketText(_ address: IPAddress, port: UInt16) -> String {
  address.isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)"
}
