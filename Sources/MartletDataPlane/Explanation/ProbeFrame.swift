import MartletNetworking
import MartletPolicy

/// A packet on an Ethernet, to run programs on: one that opens a connection, or a message of its own.
enum ProbeFrame {
  /// The bytes of `packet`, with correct checksums, for whoever has the link address `receiver`.
  static func bytes(_ packet: PolicyPacket, to receiver: MACAddress = MACAddress(bits: 0)) -> [UInt8] {
    var payload = transport(packet)
    let pseudo = pseudoHeader(packet, length: payload.count)
    if let position = checksumPosition(packet.protocol) {
      let sum = checksum(packet.protocol == .icmp ? payload : pseudo + payload)
      (payload[position], payload[position + 1]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
    }
    return ethernet(packet.family, to: receiver) + header(packet, length: payload.count) + payload
  }

  private static func ethernet(_ family: AddressFamily, to receiver: MACAddress) -> [UInt8] {
    receiver.bytes + [UInt8](repeating: 0x02, count: 6) + (family == .ipv4 ? [0x08, 0x00] : [0x86, 0xdd])
  }

  private static func header(_ packet: PolicyPacket, length: Int) -> [UInt8] {
    let number = packet.protocol.rawValue
    guard packet.family == .ipv4 else {
      return [0x60, 0, 0, 0] + word(length) + [number, 64] + packet.source.networkBytes
        + packet.destination.networkBytes
    }
    var header = [0x45, 0] + word(20 + length) + [0, 1, 0x40, 0, 64, number, 0, 0]
    header += packet.source.networkBytes + packet.destination.networkBytes
    let sum = checksum(header)
    (header[10], header[11]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
    return header
  }

  private static func transport(_ packet: PolicyPacket) -> [UInt8] {
    let ports = word(Int(packet.sourcePort)) + word(Int(packet.destinationPort))
    switch packet.protocol {
    // SYN, with a window and nothing to acknowledge.
    case .tcp: return ports + [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]
    case .udp: return ports + word(8) + [0, 0]
    // An INIT chunk.
    case .sctp: return ports + [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20] + [UInt8](repeating: 1, count: 16)
    case .icmp, .icmpv6:
      return word(Int(packet.destinationPort)) + [0, 0] + word(Int(packet.sourcePort)) + [0, 1] + quotation(packet)
    default: return [UInt8](repeating: 0, count: 16)
    }
  }

  /// What an ICMP error quotes: a datagram of nobody's, to whom the error comes from.
  private static func quotation(_ packet: PolicyPacket) -> [UInt8] {
    guard packet.described.isICMPError else { return [] }
    let quoted = PolicyPacket(from: packet.destination, to: packet.source, .udp, sourcePort: 9, destinationPort: 9)
    return header(quoted, length: 8) + word(9) + word(9) + word(8) + [0, 0]
  }

  private static func checksumPosition(_ number: L4Protocol) -> Int? {
    switch number {
    case .tcp: 16
    case .udp: 6
    case .icmp, .icmpv6: 2
    default: nil
    }
  }

  private static func pseudoHeader(_ packet: PolicyPacket, length: Int) -> [UInt8] {
    packet.source.networkBytes + packet.destination.networkBytes + [0, packet.protocol.rawValue] + word(length)
  }

  private static func word(_ number: Int) -> [UInt8] { [UInt8(number >> 8 & 0xff), UInt8(number & 0xff)] }

  /// The Internet checksum (RFC 1071).
  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var sum: UInt32 = 0
    for (index, byte) in bytes.enumerated() { sum += index.isMultiple(of: 2) ? UInt32(byte) << 8 : UInt32(byte) }
    while sum > 0xffff { sum = (sum & 0xffff) + sum >> 16 }
    return ~sum & 0xffff
  }
}

extension IPAddress {
  /// The address as it is in a packet of its family.
  fileprivate var networkBytes: [UInt8] {
    let all = [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) } }
    return isIPv4 ? Array(all.suffix(4)) : all
  }
}
