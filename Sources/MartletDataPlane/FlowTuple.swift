import CBPF
import MartletNetworking
import MartletServices

/// The ends of a packet, by which its flow is known. Ports are in host order.
public struct FlowTuple: Hashable, Sendable {
  /// The sender.
  public var source: IPAddress
  /// The receiver.
  public var destination: IPAddress
  /// The sender's port; an ICMP message's identifier.
  public var sourcePort: UInt16
  /// The receiver's port; an ICMP message's identifier.
  public var destinationPort: UInt16
  /// Of an ICMP message other than an echo: the type of the question, of the answer as well. Else 0.
  public var icmpQuery: UInt8
  /// Whether it is an ICMP message that answers one.
  public var isICMPAnswer: Bool
  /// The protocol above IP.
  public var `protocol`: L4Protocol
  /// Whether a pod of this node has sent it to another node, and that node back through the tunnel.
  public var isReturned = false

  /// The tuple with these ends.
  public init(
    source: IPAddress, destination: IPAddress, sourcePort: UInt16, destinationPort: UInt16, protocol: L4Protocol,
    icmpQuery: UInt8 = 0, isICMPAnswer: Bool = false
  ) {
    self.source = source
    self.destination = destination
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
    self.protocol = `protocol`
    self.icmpQuery = icmpQuery
    self.isICMPAnswer = isICMPAnswer
  }

  /// The tuple that is the key of a half in map `flows`.
  init(_ key: flow_tuple) {
    self.init(
      source: IPAddress(key.source), destination: IPAddress(key.destination),
      sourcePort: UInt16(bigEndian: key.source_port), destinationPort: UInt16(bigEndian: key.destination_port),
      protocol: L4Protocol(rawValue: key.protocol), icmpQuery: key.icmp_query,
      isICMPAnswer: key.icmp_answer != 0)
    isReturned = key.zone == ZONE_RETURNED.rawValue
  }

  /// The key of its half in map `flows`.
  var key: flow_tuple {
    var key = flow_tuple()
    key.source = ip_address(source)
    key.destination = ip_address(destination)
    key.source_port = sourcePort.bigEndian
    key.destination_port = destinationPort.bigEndian
    key.protocol = `protocol`.rawValue
    key.icmp_query = icmpQuery
    key.icmp_answer = isICMPAnswer ? 1 : 0
    key.zone = UInt8(isReturned ? ZONE_RETURNED.rawValue : ZONE_USUAL.rawValue)
    return key
  }

  /// The tuple of packets the other way; of no node that they have returned from.
  public var reversed: FlowTuple {
    FlowTuple(
      source: destination, destination: source, sourcePort: destinationPort, destinationPort: sourcePort,
      protocol: `protocol`, icmpQuery: icmpQuery, isICMPAnswer: `protocol`.isICMP && !isICMPAnswer)
  }

  /// As `tuple_hash` in `CBPF/datapath/service.h`: the same on every node.
  var maglevHash: UInt32 {
    let (from, to) = (ip_address(source), ip_address(destination))
    let ports =
      UInt64(sourcePort.bigEndian) << 32 ^ UInt64(destinationPort.bigEndian) << 16 ^ UInt64(`protocol`.rawValue)
    var hash = from.high ^ to.high
    hash = (hash ^ from.low) &* 0xff51_afd7_ed55_8ccd
    hash = (hash ^ hash >> 33 ^ to.low) &* 0xc4ce_b9fe_1a85_ec53
    hash ^= hash >> 33 ^ ports
    hash = hash &* 0xff51_afd7_ed55_8ccd
    return UInt32(truncatingIfNeeded: hash >> 32)
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
    if L4Protocol(rawValue: `protocol`).isICMP { partner.icmp_answer ^= 1 }
    if UInt32(flow.flags) & FLOW_RETURNED.rawValue != 0 { partner.zone ^= UInt8(ZONE_RETURNED.rawValue) }
    return partner
  }
}
