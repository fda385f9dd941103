import MartletNetworking

/// What policy looks at in a packet.
public struct PolicyPacket: Hashable, Sendable {
  /// The sender.
  public var source: IPAddress
  /// The receiver, of the same family.
  public var destination: IPAddress
  /// The protocol.
  public var `protocol`: L4Protocol
  /// The sender's port, if the protocol has ports; else 0.
  public var sourcePort: UInt16
  /// The receiver's port, if the protocol has ports; for ICMP the type times 256 plus the code; else 0.
  public var destinationPort: UInt16

  /// A packet of a protocol with ports, or of one with nothing of the kind.
  public init(
    from source: IPAddress, to destination: IPAddress, _ protocol: L4Protocol, sourcePort: UInt16 = 0,
    destinationPort: UInt16 = 0
  ) {
    self.source = source
    self.destination = destination
    self.protocol = `protocol`
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
  }

  /// An ICMP message, of the family's ICMP.
  public init(from source: IPAddress, to destination: IPAddress, icmpType: UInt8, code: UInt8 = 0) {
    self.init(
      from: source, to: destination, source.isIPv4 ? .icmp : .icmpv6,
      destinationPort: UInt16(icmpType) << 8 | UInt16(code))
  }

  /// The family of both addresses.
  public var family: AddressFamily { source.family }
}

extension PolicyPacket: CustomStringConvertible {
  /// `TCP 10.0.0.1 port 40000 to 10.0.0.2 port 80`.
  public var description: String {
    switch `protocol` {
    case .tcp, .udp, .sctp:
      "\(`protocol`) \(source) port \(sourcePort) to \(destination) port \(destinationPort)"
    case .icmp, .icmpv6:
      "\(`protocol`) type \(destinationPort >> 8) code \(destinationPort & 0xff) from \(source) to \(destination)"
    default: "protocol \(`protocol`) from \(source) to \(destination)"
    }
  }
}
