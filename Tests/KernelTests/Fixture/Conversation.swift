import BPFTesting
import MartletNetworking
import Testing

/// How two parties talk: who says what when, in each protocol that flows are tracked for.
enum Conversation: String, Sendable, CaseIterable, CustomTestStringConvertible {
  case tcp
  case udp
  /// IPv4 only.
  case udpWithoutChecksum
  case sctp
  case echo

  /// A packet's place in the conversation.
  enum Turn: Sendable {
    /// The opener's first packet.
    case opening
    /// The answer to it.
    case answer
    /// The opener's answer to the answer, after which a flow is confirmed.
    case confirmation
    /// What follows, in either direction.
    case data
  }

  var testDescription: String { rawValue }

  var hasPorts: Bool { self != .echo }

  func number(_ family: AddressFamily) -> L4Protocol {
    switch self {
    case .tcp: .tcp
    case .udp, .udpWithoutChecksum: .udp
    case .sctp: .sctp
    case .echo: family == .ipv4 ? .icmp : .icmpv6
    }
  }

  func exists(in family: AddressFamily) -> Bool { self != .udpWithoutChecksum || family == .ipv4 }

  /// Every conversation that a family knows.
  static var combinations: [(Conversation, AddressFamily)] {
    allCases.flatMap { talk in AddressFamily.allCases.filter(talk.exists).map { (talk, $0) } }
  }

  /// The packet of a turn. An echo's identifier is the opener's port.
  func packet(
    _ turn: Turn, from source: EndAddress, to destination: EndAddress, timeToLive: UInt8 = 64,
    payload: Int = 41
  ) -> PacketBuilder {
    let ip = PacketBuilder().ethernet().ip(from: source.address, to: destination.address, timeToLive: timeToLive)
    switch self {
    case .tcp: return Self.tcp(ip, turn, source.port, destination.port, payload)
    case .udp: return ip.udp(from: source.port, to: destination.port).payload(count: payload)
    case .udpWithoutChecksum:
      return ip.udp(from: source.port, to: destination.port, checksum: 0).payload(count: payload)
    case .sctp:
      return ip.sctp(from: source.port, to: destination.port, verificationTag: 77).payload(Self.chunk(turn))
    case .echo:
      let message: ICMPMessage =
        turn == .answer
        ? .echoReply(identifier: destination.port, sequence: 1) : .echoRequest(identifier: source.port, sequence: 1)
      return ip.icmp(message).payload(count: payload)
    }
  }

  private static func tcp(
    _ ip: PacketBuilder, _ turn: Turn, _ source: UInt16, _ destination: UInt16, _ payload: Int
  ) -> PacketBuilder {
    switch turn {
    case .opening: ip.tcp(from: source, to: destination, flags: .syn, sequence: 999, options: [2, 4, 5, 180])
    case .answer: ip.tcp(from: source, to: destination, flags: [.syn, .ack], sequence: 4999, acknowledgement: 1000)
    case .confirmation: ip.tcp(from: source, to: destination, sequence: 1000, acknowledgement: 5000)
    case .data:
      ip.tcp(from: source, to: destination, flags: [.psh, .ack], sequence: 1000, acknowledgement: 5000)
        .payload(count: payload)
    }
  }

  /// INIT, INIT ACK, COOKIE ECHO, DATA; the contents do not matter here.
  private static func chunk(_ turn: Turn) -> [UInt8] {
    let type: UInt8 =
      switch turn {
      case .opening: 1
      case .answer: 2
      case .confirmation: 10
      case .data: 0
      }
    return [type, 0, 0, 20] + (0..<16).map { UInt8(16 - $0) }
  }
}
