import MartletModel
import MartletNetworking

/// A packet, as far as its fate depends on it. Ports and identifiers are in host order.
///
/// ```swift
/// let packet = PacketDescription(
///   from: client, to: service, .tcp(source: 40_000, destination: 80))
/// ```
public struct PacketDescription: Hashable, Sendable {
  /// Who sends it, by its own account.
  public var source: IPAddress
  /// Whom it is for. Of the same family as ``source``.
  public var destination: IPAddress
  /// What it carries.
  public var transport: Transport
  /// The time to live, or hop limit, on arrival.
  public var timeToLive: UInt8

  /// A packet from `source` to `destination`.
  public init(
    from source: IPAddress, to destination: IPAddress, _ transport: Transport, timeToLive: UInt8 = 64
  ) {
    self.source = source
    self.destination = destination
    self.transport = transport
    self.timeToLive = timeToLive
  }

  /// What a packet carries.
  public enum Transport: Hashable, Sendable {
    /// A TCP segment; by default one that opens a connection.
    case tcp(source: UInt16, destination: UInt16, flags: TCPFlags = .syn)
    /// A UDP datagram.
    case udp(source: UInt16, destination: UInt16)
    /// An SCTP packet, by the type of its first chunk (RFC 9260); by default one that opens an association.
    case sctp(source: UInt16, destination: UInt16, chunk: UInt8 = 1)
    /// A message of ICMP or, between IPv6 addresses, ICMPv6.
    case icmp(ICMPKind)
    /// Any other protocol.
    case other(L4Protocol)
  }

  /// Bits of a TCP header.
  public struct TCPFlags: OptionSet, Hashable, Sendable {
    /// The header's fourteenth byte.
    public let rawValue: UInt8
    /// The flags with these bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The sender will send no more.
    public static let fin = TCPFlags(rawValue: 0x01)
    /// A sequence number begins.
    public static let syn = TCPFlags(rawValue: 0x02)
    /// The connection ends at once.
    public static let rst = TCPFlags(rawValue: 0x04)
    /// The acknowledgement number counts.
    public static let ack = TCPFlags(rawValue: 0x10)
  }

  /// What an ICMP message says. Errors about packets of flows are not modelled.
  public enum ICMPKind: Hashable, Sendable {
    /// A ping.
    case echoRequest(identifier: UInt16)
    /// The answer to one.
    case echoReply(identifier: UInt16)
    /// ICMPv6 only: neighbour discovery or group membership.
    case linkControl
    /// Another question or announcement, of this type; an answer to one is not modelled.
    case other(type: UInt8)
  }

  /// Source and destination as flows know them: an echo has its identifier as both ports, other protocols 0.
  var tuple: FlowTuple {
    let ports: (UInt16, UInt16) =
      switch transport {
      case .tcp(let source, let destination, _), .udp(let source, let destination),
        .sctp(let source, let destination, _):
        (source, destination)
      case .icmp(.echoRequest(let identifier)), .icmp(.echoReply(let identifier)): (identifier, identifier)
      case .icmp, .other: (0, 0)
      }
    return FlowTuple(
      source: source, destination: destination, sourcePort: ports.0, destinationPort: ports.1, protocol: `protocol`,
      icmpQuery: icmpQuery, isICMPAnswer: isICMPAnswer)
  }

  private var isICMPAnswer: Bool { if case .icmp(.echoReply) = transport { true } else { false } }

  private var icmpQuery: UInt8 { if case .icmp(.other(let type)) = transport { type } else { 0 } }

  /// The protocol's number.
  public var `protocol`: L4Protocol {
    switch transport {
    case .tcp: .tcp
    case .udp: .udp
    case .sctp: .sctp
    case .icmp: source.isIPv4 ? .icmp : .icmpv6
    case .other(let number): number
    }
  }

  var tcpFlags: TCPFlags? { if case .tcp(_, _, let flags) = transport { flags } else { nil } }
}

/// Where a packet is seen first.
public enum PacketOrigin: Hashable, Sendable {
  /// A pod of this node has sent it. `from_pod` in the kernel.
  case pod(NamespacedName)
  /// It has arrived from the network. `from_net`.
  case network
  /// A process of this node, or something that the node forwards without the data plane, has sent it: `to_net`, or
  /// `to_pod` or `to_host` where the kernel's routes lead to a pod or back to the node.
  case host
  /// The node of that name has sent it through the tunnel. `from_tunnel`.
  case tunnel(String)

  /// Whether the host's stack has seen it before, and so counted down its time to live.
  var isStack: Bool { self == .host }
}

/// A question that has no answer.
public struct PacketQuestionError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, and the remedy.
  public let description: String

  init(_ description: String) { self.description = description }
}
