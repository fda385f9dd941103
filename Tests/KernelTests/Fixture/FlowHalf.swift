import BPFTesting
import CBPF
import MartletNetworking
import MartletServices

/// One direction of a tracked flow, as far as tests look at it.
struct FlowHalf: Equatable, Sendable {
  /// The datapath's `enum flow_flag`.
  struct Flags: OptionSet, Hashable, Sendable, CustomStringConvertible {
    let rawValue: UInt16

    static let opener = Flags(rawValue: UInt16(FLOW_OPENER.rawValue))
    static let rewriteSource = Flags(rawValue: UInt16(FLOW_REWRITE_SOURCE.rawValue))
    static let rewriteDestination = Flags(rawValue: UInt16(FLOW_REWRITE_DESTINATION.rawValue))
    static let toHost = Flags(rawValue: UInt16(FLOW_TO_HOST.rawValue))
    static let fin = Flags(rawValue: UInt16(FLOW_FIN.rawValue))
    static let oneWay = Flags(rawValue: UInt16(FLOW_ONE_WAY.rawValue))
    static let loopback = Flags(rawValue: UInt16(FLOW_LOOPBACK.rawValue))
    static let fromHost = Flags(rawValue: UInt16(FLOW_FROM_HOST.rawValue))

    var description: String {
      let names = ["opener", "source", "destination", "host", "fin", "one way", "loopback", "from host"]
      return names.enumerated().filter { rawValue & 1 << $0.offset != 0 }.map(\.element).joined(separator: "|")
    }
  }

  /// The datapath's `enum flow_state`.
  enum State: UInt8, Sendable {
    case new, replied, established, closing, closed
  }

  /// The packet's ends once translated.
  var source: EndAddress
  var destination: EndAddress
  var flags: Flags
  var state: State?
  var isConfirmed: Bool
  var endpoint: UInt32
  var input: UInt32
  var service: UInt32
  var packets: UInt64
  var bytes: UInt64
  var egressRule: UInt32
  var ingressRule: UInt32
  var policyGeneration: UInt32

  init(_ flow: flow, isConfirmed: Bool) {
    source = EndAddress(IPAddress(flow.source), UInt16(bigEndian: flow.source_port))
    destination = EndAddress(IPAddress(flow.destination), UInt16(bigEndian: flow.destination_port))
    flags = Flags(rawValue: flow.flags)
    state = State(rawValue: flow.state)
    self.isConfirmed = isConfirmed
    endpoint = flow.endpoint
    input = flow.input_ifindex
    service = flow.service
    packets = flow.packets
    bytes = flow.bytes
    egressRule = flow.egress_rule
    ingressRule = flow.ingress_rule
    policyGeneration = flow.policy_generation
  }
}

extension flow_tuple {
  /// The key of packets from `source` to `destination`.
  init(_ number: L4Protocol, _ source: EndAddress, _ destination: EndAddress) {
    self.init()
    self.source = ip_address(source.address)
    self.destination = ip_address(destination.address)
    source_port = source.port.bigEndian
    destination_port = destination.port.bigEndian
    `protocol` = number.rawValue
  }
}
