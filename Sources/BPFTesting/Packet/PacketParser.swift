import MartletNetworking

/// Takes a packet apart; the engine of ``ParsedPacket``.
struct PacketParser {
  private(set) var packet = ParsedPacket()
  private var reader: FieldReader
  /// An ICMP error quotes the beginning of a packet, so that its end may be missing.
  private let isQuote: Bool
  private let vxlanPort: UInt16
  /// Whether all of the IP payload is here, so that its checksum can be verified.
  private var isComplete = true

  init(_ bytes: [UInt8], isQuote: Bool, vxlanPort: UInt16) {
    reader = FieldReader(bytes)
    self.isQuote = isQuote
    self.vxlanPort = vxlanPort
  }

  mutating func parse(_ start: ParsedPacket.Start) {
    do {
      switch start {
      case .ethernet: try parseEthernet()
      case .ip: try parseIP()
      }
    } catch  where isQuote && !isComplete {
      // The cut is where the quote ends.
    } catch {
      packet.problems.append("cut short in \(error.field)")
    }
    packet.payload = Array(reader.rest)
    // Cannot be cut short: it asks for what there is.
    _ = try? reader.bytes(reader.remaining, "payload")
    packet.fields = reader.fields
  }

  // MARK: - Link and network

  private mutating func parseEthernet() throws(FieldReader.CutShort) {
    var ethernet = ParsedPacket.Ethernet()
    ethernet.destination = MACAddress(bits: try bits("Ethernet destination", 6))
    ethernet.source = MACAddress(bits: try bits("Ethernet source", 6))
    ethernet.type = try reader.number("Ethernet type")
    if ethernet.type == EtherType.vlan {
      let tag: UInt16 = try reader.number("VLAN tag")
      ethernet.vlan = tag & 0xfff
      ethernet.type = try reader.number("VLAN type")
    }
    packet.ethernet = ethernet
    switch ethernet.type {
    case EtherType.ipv4, EtherType.ipv6:
      try parseIP()
      if let ip = packet.ip, ip.source.isIPv4 != (ethernet.type == EtherType.ipv4) {
        packet.problems.append("the Ethernet type is not that of IP version \(ip.source.isIPv4 ? 4 : 6)")
      }
    default: break
    }
  }

  private mutating func bits(_ field: String, _ count: Int) throws(FieldReader.CutShort) -> UInt64 {
    try reader.bytes(count, field).reduce(0) { $0 << 8 | UInt64($1) }
  }

  private mutating func parseIP() throws(FieldReader.CutShort) {
    switch reader.rest.first.map({ $0 >> 4 }) {
    case 4: try parseIPv4()
    case 6: try parseIPv6()
    case let version?: packet.problems.append("IP version \(version)")
    case nil: throw FieldReader.CutShort(field: "IP version")
    }
  }

  private mutating func parseIPv4() throws(FieldReader.CutShort) {
    let header = reader.rest
    let first: UInt8 = try reader.number("IPv4 version and header length")
    let trafficClass: UInt8 = try reader.number("IPv4 traffic class")
    let totalLength: UInt16 = try reader.number("IPv4 total length")
    let identification: UInt16 = try reader.number("IPv4 identification")
    let place: UInt16 = try reader.number("IPv4 fragment offset")
    let timeToLive: UInt8 = try reader.number("IPv4 time to live")
    let number: UInt8 = try reader.number("IPv4 protocol")
    let checksum: UInt16 = try reader.number("IPv4 checksum")
    let source: UInt32 = try reader.number("IPv4 source")
    let destination: UInt32 = try reader.number("IPv4 destination")
    let headerLength = Int(first & 15) * 4
    guard headerLength >= 20 else { return packet.problems.append("IPv4 header length \(headerLength)") }
    let options = try reader.bytes(headerLength - 20, "IPv4 options")

    expect(checksum, "IPv4", zeroing: 10, in: Array(header.prefix(headerLength))) { InternetChecksum.of($0) }
    limit(toPayload: Int(totalLength) - headerLength, "IPv4 total length")
    var ip = ParsedPacket.IP(
      source: IPAddress(ipv4: source), destination: IPAddress(ipv4: destination),
      protocolNumber: L4Protocol(rawValue: number), timeToLive: timeToLive, trafficClass: trafficClass,
      totalLength: Int(totalLength))
    ip.identification = identification
    ip.dontFragment = place & 0x4000 != 0
    ip.fragment = fragment(
      offset: Int(place & 0x1fff) * 8, moreFollow: place & 0x2000 != 0, identification: UInt32(identification))
    ip.options = options
    packet.ip = ip
    try parseTransport()
  }

  private mutating func parseIPv6() throws(FieldReader.CutShort) {
    let first: UInt32 = try reader.number("IPv6 version, traffic class and flow label")
    let payloadLength: UInt16 = try reader.number("IPv6 payload length")
    let number: UInt8 = try reader.number("IPv6 next header")
    let hopLimit: UInt8 = try reader.number("IPv6 hop limit")
    let source: UInt128 = try reader.number("IPv6 source")
    let destination: UInt128 = try reader.number("IPv6 destination")
    limit(toPayload: Int(payloadLength), "IPv6 payload length")
    packet.ip = ParsedPacket.IP(
      source: IPAddress(bits: source), destination: IPAddress(bits: destination),
      protocolNumber: L4Protocol(rawValue: number), timeToLive: hopLimit,
      trafficClass: UInt8(truncatingIfNeeded: first >> 20), totalLength: 40 + Int(payloadLength))
    try parseExtensionHeaders(from: number)
    try parseTransport()
  }

  private mutating func parseExtensionHeaders(from first: UInt8) throws(FieldReader.CutShort) {
    var number = first
    while packet.ip?.fragment.map({ $0.offset == 0 }) ?? true {
      switch number {
      case IPProtocol.hopByHop, IPProtocol.routing, IPProtocol.destinationOptions:
        packet.ip?.extensionHeaders.append(number)
        number = try reader.number("IPv6 extension header's next header")
        let length: UInt8 = try reader.number("IPv6 extension header's length")
        _ = try reader.bytes(Int(length) * 8 + 6, "IPv6 extension header's content")
      case IPProtocol.fragment:
        number = try reader.number("IPv6 fragment's next header")
        _ = try reader.bytes(1, "IPv6 fragment's reserved byte")
        let place: UInt16 = try reader.number("IPv6 fragment offset")
        let identification: UInt32 = try reader.number("IPv6 fragment identification")
        let part = fragment(
          offset: Int(place & 0xfff8), moreFollow: place & 1 != 0, identification: identification)
        packet.ip?.fragment = part
      default:
        packet.ip?.protocolNumber = L4Protocol(rawValue: number)
        return
      }
      packet.ip?.protocolNumber = L4Protocol(rawValue: number)
    }
  }

  /// A fragment, unless it is the whole (RFC 6946 calls that atomic).
  private func fragment(offset: Int, moreFollow: Bool, identification: UInt32) -> IPFragment? {
    guard offset > 0 || moreFollow else { return nil }
    return IPFragment(offset: offset, moreFollow: moreFollow, identification: identification)
  }

  /// Ends the packet where the IP header says, so that Ethernet's padding is no payload.
  private mutating func limit(toPayload length: Int, _ field: String) {
    if length < 0 || length > reader.remaining {
      isComplete = false
      if !isQuote { packet.problems.append("\(field) is \(length - reader.remaining) bytes more than there are") }
    } else {
      reader.limit(to: length)
    }
  }

  // MARK: - Transport

  private mutating func parseTransport() throws(FieldReader.CutShort) {
    guard let ip = packet.ip, ip.fragment.map({ $0.offset == 0 }) ?? true else { return }
    if ip.fragment != nil { isComplete = false }
    switch ip.protocolNumber {
    case .tcp: try parseTCP()
    case .udp: try parseUDP()
    case .sctp: try parseSCTP()
    case .icmp, .icmpv6: try parseICMP()
    default: break
    }
  }

  private mutating func parseTCP() throws(FieldReader.CutShort) {
    let segment = reader.rest
    var header = ParsedPacket.TCP(
      source: try reader.number("TCP source port"), destination: try reader.number("TCP destination port"),
      sequence: try reader.number("TCP sequence"), acknowledgement: 0, flags: [], window: 0, options: [])
    // A quote need not hold more than these eight bytes.
    packet.transport = .tcp(header)
    header.acknowledgement = try reader.number("TCP acknowledgement")
    let offset: UInt8 = try reader.number("TCP data offset")
    header.flags = TCPFlags(rawValue: try reader.number("TCP flags"))
    header.window = try reader.number("TCP window")
    let checksum: UInt16 = try reader.number("TCP checksum")
    _ = try reader.bytes(2, "TCP urgent pointer")
    let headerLength = Int(offset >> 4) * 4
    guard headerLength >= 20 else { return packet.problems.append("TCP header length \(headerLength)") }
    header.options = try reader.bytes(headerLength - 20, "TCP options")
    packet.transport = .tcp(header)
    expectUpperLayer(checksum, "TCP", zeroing: 16, in: segment)
  }

  private mutating func parseUDP() throws(FieldReader.CutShort) {
    let datagram = reader.rest
    let source: UInt16 = try reader.number("UDP source port")
    let destination: UInt16 = try reader.number("UDP destination port")
    let length: UInt16 = try reader.number("UDP length")
    let checksum: UInt16 = try reader.number("UDP checksum")
    packet.transport = .udp(source: source, destination: destination, hasChecksum: checksum != 0)
    if isComplete && Int(length) != datagram.count {
      packet.problems.append("UDP length \(length), should be \(datagram.count)")
    }
    if checksum != 0 {
      expectUpperLayer(checksum, "UDP", zeroing: 6, in: datagram)
    } else if packet.ip?.source.isIPv6 == true && destination != vxlanPort {
      // RFC 6935 allows it for tunnels only.
      packet.problems.append("UDP over IPv6 without a checksum")
    }
    if destination == vxlanPort && isComplete { try parseVXLAN() }
  }

  private mutating func parseSCTP() throws(FieldReader.CutShort) {
    let bytes = reader.rest
    let source: UInt16 = try reader.number("SCTP source port")
    let destination: UInt16 = try reader.number("SCTP destination port")
    let tag: UInt32 = try reader.number("SCTP verification tag")
    packet.transport = .sctp(source: source, destination: destination, verificationTag: tag)
    let checksum: UInt32 = try reader.number("SCTP checksum")
    guard isComplete else { return }
    expect(checksum.byteSwapped, "SCTP", zeroing: 8, in: Array(bytes)) { CRC32C.of($0) }
  }

  private mutating func parseICMP() throws(FieldReader.CutShort) {
    guard let ip = packet.ip else { return }
    let name = "\(ip.protocolNumber)"
    let bytes = reader.rest
    let type: UInt8 = try reader.number("\(name) type")
    let code: UInt8 = try reader.number("\(name) code")
    let checksum: UInt16 = try reader.number("\(name) checksum")
    let rest: UInt32 = try reader.number("\(name) second word")
    let family: AddressFamily = ip.protocolNumber == .icmp ? .ipv4 : .ipv6
    let message = ICMPMessage(family: family, type: type, code: code, rest: rest)
    packet.transport = .icmp(message)
    if family == .ipv6 {
      expectUpperLayer(checksum, name, zeroing: 2, in: bytes)
    } else if isComplete {
      expect(checksum, name, zeroing: 2, in: Array(bytes)) { InternetChecksum.of($0) }
    }
    if message.isError { parseInner(.ip, isQuote: true, "quoted") }
  }

  private mutating func parseVXLAN() throws(FieldReader.CutShort) {
    let flags: UInt8 = try reader.number("VXLAN flags")
    _ = try reader.bytes(3, "VXLAN reserved bytes")
    let word: UInt32 = try reader.number("VXLAN identifier")
    packet.vxlan = word >> 8
    if flags != 8 { packet.problems.append("VXLAN flags \(flags), should be 8") }
    parseInner(.ethernet, isQuote: false, "inner")
  }

  private mutating func parseInner(_ start: ParsedPacket.Start, isQuote: Bool, _ name: String) {
    var parser = PacketParser(Array(reader.rest), isQuote: isQuote, vxlanPort: vxlanPort)
    parser.parse(start)
    packet.innermost = [parser.packet]
    packet.problems += parser.packet.problems.map { "\(name) packet: \($0)" }
    let inner = parser.packet.fields.map { (name: "\(name) \($0.name)", count: $0.range.count) }
    // Cannot be cut short either: the inner parser read the same bytes.
    for field in inner { _ = try? reader.bytes(field.count, field.name) }
  }

  // MARK: - Checksums

  private mutating func expectUpperLayer(
    _ found: UInt16, _ name: String, zeroing offset: Int, in bytes: ArraySlice<UInt8>
  ) {
    guard isComplete, let ip = packet.ip else { return }
    expect(found, name, zeroing: offset, in: Array(bytes)) { zeroed in
      let sum = InternetChecksum.of(
        zeroed, from: ip.source, to: ip.destination, protocol: ip.protocolNumber.rawValue)
      return sum == 0 && ip.protocolNumber == .udp ? 0xffff : sum
    }
  }

  private mutating func expect<Sum: FixedWidthInteger>(
    _ found: Sum, _ name: String, zeroing offset: Int, in bytes: [UInt8], _ compute: ([UInt8]) -> Sum
  ) {
    var zeroed = bytes
    for index in offset..<offset + Sum.bitWidth / 8 { zeroed[index] = 0 }
    let expected = compute(zeroed)
    if found != expected {
      packet.problems.append(
        "\(name) checksum 0x\(String(found, radix: 16)), should be 0x\(String(expected, radix: 16))")
    }
  }
}
