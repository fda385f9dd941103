import BPFTesting
import MartletNetworking
import Testing

/// What the datapath made of a packet.
struct Outcome: Sendable {
  /// How a program ends.
  enum Verdict: Hashable, Sendable {
    /// The packet is gone.
    case drop
    /// It leaves by another interface, or comes in there.
    case redirect
    /// It goes on to the next program, and then to the stack or the wire.
    case pass
    /// Nothing that the datapath should ever say.
    case unknown(UInt32)

    init(_ code: UInt32) {
      switch Int32(bitPattern: code) {
      case 2: self = .drop  // TC_ACT_SHOT
      case 7: self = .redirect  // TC_ACT_REDIRECT
      case -1: self = .pass  // TC_ACT_UNSPEC
      default: self = .unknown(code)
      }
    }
  }

  /// The mark that says "decided", as `mark_decided` of the datapath.
  static let decidedMark: UInt32 = 0x0080_0000

  var verdict: Verdict
  /// The packet as the program left it.
  var packet: [UInt8]
  var mark: UInt32

  /// Whether later hooks let the packet through.
  var isDecided: Bool { mark & Self.decidedMark != 0 }
  var parsed: ParsedPacket { ParsedPacket(packet) }

  /// Compares everything from the network header on, byte by byte.
  func expect(
    _ verdict: Verdict, _ packet: PacketBuilder? = nil, _ comment: Comment? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    #expect(self.verdict == verdict, comment, sourceLocation: sourceLocation)
    guard let packet else { return }
    let difference = PacketDifference(
      expected: Array(packet.bytes.dropFirst(14)), actual: Array(self.packet.dropFirst(14)), startingWith: .ip)
    #expect(difference == nil, comment, sourceLocation: sourceLocation)
    #expect(self.packet[12..<14] == packet.bytes[12..<14], comment, sourceLocation: sourceLocation)
  }
}
