import MartletNetworking

/// A header, or data, of a packet that is being built.
protocol PacketLayer: Sendable {
  /// By what an IP header names this layer; `nil` if it cannot follow one or has no number.
  func ipProtocol(_ family: AddressFamily) -> UInt8?
  /// By what an Ethernet header names this layer.
  var etherType: UInt16? { get }
  /// The header with `payload` behind it.
  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8]
}

extension PacketLayer {
  func ipProtocol(_ family: AddressFamily) -> UInt8? { nil }
  var etherType: UInt16? { nil }
}

/// What a header needs to know of the others: the nearest IP header outside it, and what comes next.
struct PacketSurroundings {
  var ip: IPLayer?
  var next: (any PacketLayer)?
}

struct PayloadLayer: PacketLayer {
  var bytes: [UInt8]

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] { bytes + payload }
}

struct EthernetLayer: PacketLayer {
  var source: MACAddress
  var destination: MACAddress
  var type: UInt16?

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    let type = type ?? surroundings.next?.etherType ?? EtherType.localExperimental
    return destination.bytes + source.bytes + type.bigEndianBytes + payload
  }
}

struct VLANLayer: PacketLayer {
  var identifier: UInt16

  var etherType: UInt16? { EtherType.vlan }

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    identifier.bigEndianBytes + (surroundings.next?.etherType ?? EtherType.localExperimental).bigEndianBytes + payload
  }
}

struct IPLayer: PacketLayer {
  var source: IPAddress
  var destination: IPAddress
  var timeToLive: UInt8
  var trafficClass: UInt8
  var protocolNumber: UInt8?
  var identification: UInt16
  var dontFragment: Bool
  var options: [UInt8]
  var fragment: IPFragment?
  var checksum: UInt16?

  var family: AddressFamily { source.family }
  var etherType: UInt16? { family == .ipv4 ? EtherType.ipv4 : EtherType.ipv6 }
  func ipProtocol(_ family: AddressFamily) -> UInt8? { self.family == .ipv4 ? 4 : 41 }

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    let next = protocolNumber ?? surroundings.next?.ipProtocol(family) ?? IPProtocol.experimental
    return family == .ipv4 ? encodeIPv4(payload, next) : encodeIPv6(payload, next)
  }

  private func encodeIPv4(_ payload: [UInt8], _ next: UInt8) -> [UInt8] {
    let options = options + [UInt8](repeating: 0, count: -options.count & 3)
    let words = UInt8(5 + options.count / 4)
    var place = UInt16((fragment?.offset ?? 0) / 8)
    if fragment?.moreFollow == true { place |= 0x2000 }
    if fragment == nil && dontFragment { place |= 0x4000 }
    var header: [UInt8] = [0x40 | words, trafficClass]
    header += UInt16(20 + options.count + payload.count).bigEndianBytes
    header += (fragment.map { UInt16(truncatingIfNeeded: $0.identification) } ?? identification).bigEndianBytes
    header += place.bigEndianBytes + [timeToLive, next, 0, 0] + source.bytes + destination.bytes + options
    header.replaceSubrange(10..<12, with: (checksum ?? InternetChecksum.of(header)).bigEndianBytes)
    return header + payload
  }

  private func encodeIPv6(_ payload: [UInt8], _ next: UInt8) -> [UInt8] {
    var payload = payload
    if let fragment {
      let place = UInt16(fragment.offset) | (fragment.moreFollow ? 1 : 0)
      payload = [next, 0] + place.bigEndianBytes + fragment.identification.bigEndianBytes + payload
    }
    let first = UInt32(6) << 28 | UInt32(trafficClass) << 20
    var header = first.bigEndianBytes + UInt16(payload.count).bigEndianBytes
    header += [fragment == nil ? next : IPProtocol.fragment, timeToLive] + source.bytes + destination.bytes
    return header + payload
  }
}

/// A hop-by-hop, destination-options or routing header.
struct ExtensionHeaderLayer: PacketLayer {
  var number: UInt8
  /// All behind the first two bytes.
  var content: [UInt8]

  func ipProtocol(_ family: AddressFamily) -> UInt8? { number }

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    let next = surroundings.next?.ipProtocol(.ipv6) ?? IPProtocol.experimental
    return [next, UInt8((content.count + 2) / 8 - 1)] + content + payload
  }
}

struct TCPLayer: PacketLayer {
  var source: UInt16
  var destination: UInt16
  var sequence: UInt32
  var acknowledgement: UInt32
  var flags: TCPFlags
  var window: UInt16
  var options: [UInt8]
  var checksum: UInt16?

  func ipProtocol(_ family: AddressFamily) -> UInt8? { L4Protocol.tcp.rawValue }

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    let options = options + [UInt8](repeating: 0, count: -options.count & 3)
    var segment = source.bigEndianBytes + destination.bigEndianBytes
    segment += sequence.bigEndianBytes + acknowledgement.bigEndianBytes
    segment += [UInt8(5 + options.count / 4) << 4, flags.rawValue] + window.bigEndianBytes + [0, 0, 0, 0]
    segment += options + payload
    let sum = checksum ?? surroundings.checksum(of: segment, L4Protocol.tcp.rawValue)
    segment.replaceSubrange(16..<18, with: sum.bigEndianBytes)
    return segment
  }
}

struct UDPLayer: PacketLayer {
  var source: UInt16
  var destination: UInt16
  var checksum: UInt16?

  func ipProtocol(_ family: AddressFamily) -> UInt8? { L4Protocol.udp.rawValue }

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    var datagram = source.bigEndianBytes + destination.bigEndianBytes
    datagram += UInt16(8 + payload.count).bigEndianBytes + [0, 0] + payload
    let computed = surroundings.checksum(of: datagram, L4Protocol.udp.rawValue)
    // 0 on the wire means "no checksum"; a sum that comes out as 0 is sent as its other representation.
    let sum = checksum ?? (computed == 0 ? 0xffff : computed)
    datagram.replaceSubrange(6..<8, with: sum.bigEndianBytes)
    return datagram
  }
}

struct SCTPLayer: PacketLayer {
  var source: UInt16
  var destination: UInt16
  var verificationTag: UInt32

  func ipProtocol(_ family: AddressFamily) -> UInt8? { L4Protocol.sctp.rawValue }

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    let ports = source.bigEndianBytes + destination.bigEndianBytes + verificationTag.bigEndianBytes
    let sum = CRC32C.of(ports + [0, 0, 0, 0] + payload)
    return ports + sum.bigEndianBytes.reversed() + payload
  }
}

struct ICMPLayer: PacketLayer {
  var message: ICMPMessage
  var checksum: UInt16?

  func ipProtocol(_ family: AddressFamily) -> UInt8? {
    (family == .ipv4 ? L4Protocol.icmp : .icmpv6).rawValue
  }

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    let family = surroundings.ip?.family ?? .ipv4
    let (type, code, rest) = message.header(family)
    var packet = [type, code, 0, 0] + rest.bigEndianBytes + payload
    let computed =
      family == .ipv4
      ? InternetChecksum.of(packet) : surroundings.checksum(of: packet, L4Protocol.icmpv6.rawValue)
    packet.replaceSubrange(2..<4, with: (checksum ?? computed).bigEndianBytes)
    return packet
  }
}

struct VXLANLayer: PacketLayer {
  var identifier: UInt32

  func encode(_ payload: [UInt8], in surroundings: PacketSurroundings) -> [UInt8] {
    [0x08, 0, 0, 0] + (identifier << 8).bigEndianBytes + payload
  }
}

extension PacketSurroundings {
  /// The checksum with the pseudo-header of the nearest IP header; without one the packet has no checksum.
  fileprivate func checksum(of packet: [UInt8], _ number: UInt8) -> UInt16 {
    guard let ip else { return 0 }
    return InternetChecksum.of(packet, from: ip.source, to: ip.destination, protocol: number)
  }
}

/// Numbers of the Ethernet header.
enum EtherType {
  static let ipv4: UInt16 = 0x0800
  static let vlan: UInt16 = 0x8100
  static let ipv6: UInt16 = 0x86dd
  static let localExperimental: UInt16 = 0x88b5
}

/// Numbers of the IP header that are no transport protocols.
enum IPProtocol {
  static let hopByHop: UInt8 = 0
  static let routing: UInt8 = 43
  static let fragment: UInt8 = 44
  static let noNext: UInt8 = 59
  static let destinationOptions: UInt8 = 60
  static let experimental: UInt8 = 253
}
