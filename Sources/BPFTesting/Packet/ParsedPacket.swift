import MartletNetworking

/// A packet taken apart, with every checksum and length verified.
///
/// ```swift
/// let reply = ParsedPacket(result.output)
/// #expect(reply.problems == [])
/// #expect(reply.ip?.source == service)
/// #expect(reply.sourcePort == 80)
/// ```
///
/// Parsing never fails: what does not hold is in ``problems``, and what could be read before that is in the other
/// properties. Tunnelled and quoted packets are taken apart as well; see ``inner``.
public struct ParsedPacket: Hashable, Sendable {
  /// With which header a packet begins.
  public enum Start: Sendable {
    /// Ethernet.
    case ethernet
    /// IPv4 or IPv6.
    case ip
  }

  /// The Ethernet header.
  public struct Ethernet: Hashable, Sendable {
    /// The receiver.
    public var destination = MACAddress(bits: 0)
    /// The sender.
    public var source = MACAddress(bits: 0)
    /// The 802.1Q tag's identifier, if there is a tag.
    public var vlan: UInt16?
    /// What follows.
    public var type: UInt16 = 0
  }

  /// The IPv4 or IPv6 header.
  public struct IP: Hashable, Sendable {
    /// The sender.
    public var source: IPAddress
    /// The receiver.
    public var destination: IPAddress
    /// The protocol behind all extension headers.
    public var protocolNumber: L4Protocol
    /// The hop limit in IPv6.
    public var timeToLive: UInt8
    /// DSCP and ECN.
    public var trafficClass: UInt8
    /// IPv4 only, else 0.
    public var identification: UInt16 = 0
    /// IPv4 only.
    public var dontFragment = false
    /// The part of a datagram that the packet is, unless it is all.
    public var fragment: IPFragment?
    /// IPv4 only.
    public var options: [UInt8] = []
    /// The numbers of IPv6 extension headers, in order, without the fragment header.
    public var extensionHeaders: [UInt8] = []
    /// Length of the whole as the header gives it, with the header.
    public var totalLength: Int
  }

  /// The header above IP.
  public enum Transport: Hashable, Sendable {
    /// TCP.
    case tcp(TCP)
    /// UDP; `hasChecksum` is false if the sender left it out.
    case udp(source: UInt16, destination: UInt16, hasChecksum: Bool)
    /// SCTP.
    case sctp(source: UInt16, destination: UInt16, verificationTag: UInt32)
    /// ICMP or ICMPv6.
    case icmp(ICMPMessage)
  }

  /// The TCP header.
  public struct TCP: Hashable, Sendable {
    /// The sender's port.
    public var source: UInt16
    /// The receiver's port.
    public var destination: UInt16
    /// Of the first byte.
    public var sequence: UInt32
    /// The next byte expected.
    public var acknowledgement: UInt32
    /// The control bits.
    public var flags: TCPFlags
    /// As on the wire, unscaled.
    public var window: UInt16
    /// As on the wire, with padding.
    public var options: [UInt8]
  }

  /// The Ethernet header, if the packet begins with one.
  public internal(set) var ethernet: Ethernet?
  /// The IP header.
  public internal(set) var ip: IP?
  /// The header above it; `nil` in fragments but the first, and for unknown protocols.
  public internal(set) var transport: Transport?
  /// The identifier of the VXLAN header, if there is one.
  public internal(set) var vxlan: UInt32?
  /// What is behind the last header that was understood.
  public internal(set) var payload: [UInt8] = []
  /// What does not hold, each in one line: wrong checksums and lengths, headers cut short. Empty for a sound packet.
  ///
  /// Those of an inner packet are included. Not verified are the checksums of fragments, and of quotes that are cut off.
  public internal(set) var problems: [String] = []

  var innermost: [ParsedPacket] = []
  var fields: [PacketField] = []

  /// The packet that a VXLAN header carries or an ICMP error quotes.
  public var inner: ParsedPacket? { innermost.first }

  /// Takes `bytes` apart. UDP to `vxlanPort` carries VXLAN.
  public init(_ bytes: some Sequence<UInt8>, startingWith start: Start = .ethernet, vxlanPort: UInt16 = 4789) {
    var parser = PacketParser(Array(bytes), isQuote: false, vxlanPort: vxlanPort)
    parser.parse(start)
    self = parser.packet
  }

  init() {}
}

extension ParsedPacket {
  /// The sender's port, of protocols that have ports.
  public var sourcePort: UInt16? { ports?.source }
  /// The receiver's port, of protocols that have ports.
  public var destinationPort: UInt16? { ports?.destination }
  /// The TCP header, if it is TCP.
  public var tcp: TCP? { if case .tcp(let header) = transport { header } else { nil } }
  /// The ICMP message, if it is one.
  public var icmp: ICMPMessage? { if case .icmp(let message) = transport { message } else { nil } }

  private var ports: (source: UInt16, destination: UInt16)? {
    switch transport {
    case .tcp(let header): (header.source, header.destination)
    case .udp(let source, let destination, _), .sctp(let source, let destination, _): (source, destination)
    case .icmp, nil: nil
    }
  }
}
