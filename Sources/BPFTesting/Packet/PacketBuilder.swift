import MartletNetworking

/// A packet to be put together header by header, from the outermost one inwards.
///
/// ```swift
/// let request = PacketBuilder()
///   .ethernet(from: client.mac, to: node.mac)
///   .ip(from: client.address, to: IPAddress(10, 96, 0, 10))
///   .tcp(from: 40000, to: 80, flags: .syn)
/// let result = try program.test(request.bytes)
/// ```
///
/// Lengths, next-header numbers and checksums follow from what is inside. The family follows from the addresses, so one
/// test serves both. Fields that a test wants wrong can be given: `checksum: 0xdead`. A builder is a value: keep one and
/// add to it.
///
/// It shares nothing with the data plane, for which it is the oracle. ``ParsedPacket`` is its reverse.
public struct PacketBuilder: Sendable {
  private var layers: [any PacketLayer] = []

  /// A packet with nothing in it.
  public init() {}

  /// The packet as it is on the wire, without the frame check sequence.
  public var bytes: [UInt8] { encode(layers) }

  private func encode(_ layers: [any PacketLayer], outside: IPLayer? = nil) -> [UInt8] {
    var bytes: [UInt8] = []
    for (index, layer) in layers.enumerated().reversed() {
      let ip = layers[..<index].last { $0 is IPLayer } as? IPLayer
      let next = index + 1 < layers.count ? layers[index + 1] : nil
      bytes = layer.encode(bytes, in: PacketSurroundings(ip: ip ?? outside, next: next))
    }
    return bytes
  }

  private func adding(_ layer: any PacketLayer) -> PacketBuilder {
    var longer = self
    longer.layers.append(layer)
    return longer
  }
}

// MARK: - Link and network headers

extension PacketBuilder {
  /// An Ethernet header; `type` follows from the next header unless given.
  public func ethernet(
    from source: MACAddress = MACAddress(2, 0, 0, 0, 0, 1), to destination: MACAddress = MACAddress(2, 0, 0, 0, 0, 2),
    type: UInt16? = nil
  ) -> PacketBuilder {
    adding(EthernetLayer(source: source, destination: destination, type: type))
  }

  /// An 802.1Q tag.
  public func vlan(_ identifier: UInt16) -> PacketBuilder { adding(VLANLayer(identifier: identifier)) }

  /// An IPv4 or IPv6 header.
  ///
  /// - Parameters:
  ///   - timeToLive: the hop limit in IPv6.
  ///   - trafficClass: DSCP and ECN.
  ///   - number: the next header's number, where it does not follow from the next header.
  ///   - identification: IPv4 only.
  ///   - dontFragment: IPv4 only.
  ///   - options: of IPv4 only, padded to a multiple of 4. IPv6 has ``hopByHopOptions(_:)`` and others.
  ///   - fragment: makes this a fragment; in IPv6 by a header of its own. See also ``fragments(ofAtMost:)``.
  ///   - checksum: of the IPv4 header, in host order, instead of the right one.
  /// - Precondition: the addresses are of one family.
  public func ip(
    from source: IPAddress, to destination: IPAddress, timeToLive: UInt8 = 64, trafficClass: UInt8 = 0,
    protocol number: UInt8? = nil, identification: UInt16 = 0, dontFragment: Bool = true, options: [UInt8] = [],
    fragment: IPFragment? = nil, checksum: UInt16? = nil
  ) -> PacketBuilder {
    precondition(source.family == destination.family, "\(source) and \(destination) are of different families")
    return adding(
      IPLayer(
        source: source, destination: destination, timeToLive: timeToLive, trafficClass: trafficClass,
        protocolNumber: number, identification: identification, dontFragment: dontFragment, options: options,
        fragment: fragment, checksum: checksum))
  }

  /// An IPv6 hop-by-hop options header with `content` behind its first two bytes; by default, padding.
  ///
  /// - Precondition: `content` is two bytes short of a multiple of eight.
  public func hopByHopOptions(_ content: [UInt8] = [1, 4, 0, 0, 0, 0]) -> PacketBuilder {
    extensionHeader(IPProtocol.hopByHop, content)
  }

  /// An IPv6 destination options header; see ``hopByHopOptions(_:)``.
  public func destinationOptions(_ content: [UInt8] = [1, 4, 0, 0, 0, 0]) -> PacketBuilder {
    extensionHeader(IPProtocol.destinationOptions, content)
  }

  /// An IPv6 routing header, by default of type 253 with no segments left; see ``hopByHopOptions(_:)``.
  public func routingHeader(_ content: [UInt8] = [253, 0, 0, 0, 0, 0]) -> PacketBuilder {
    extensionHeader(IPProtocol.routing, content)
  }

  private func extensionHeader(_ number: UInt8, _ content: [UInt8]) -> PacketBuilder {
    precondition((content.count + 2) % 8 == 0, "an extension header's length is a multiple of 8")
    return adding(ExtensionHeaderLayer(number: number, content: content))
  }
}

// MARK: - Transport headers and contents

extension PacketBuilder {
  /// A TCP header. `options` are padded to a multiple of 4; `checksum`, in host order, stands in for the right one.
  public func tcp(
    from source: UInt16, to destination: UInt16, flags: TCPFlags = .ack, sequence: UInt32 = 1,
    acknowledgement: UInt32 = 0, window: UInt16 = 65535, options: [UInt8] = [], checksum: UInt16? = nil
  ) -> PacketBuilder {
    adding(
      TCPLayer(
        source: source, destination: destination, sequence: sequence, acknowledgement: acknowledgement, flags: flags,
        window: window, options: options, checksum: checksum))
  }

  /// A UDP header. `checksum`, in host order, stands in for the right one; 0 sends none.
  public func udp(from source: UInt16, to destination: UInt16, checksum: UInt16? = nil) -> PacketBuilder {
    adding(UDPLayer(source: source, destination: destination, checksum: checksum))
  }

  /// An SCTP common header; chunks are payload.
  public func sctp(from source: UInt16, to destination: UInt16, verificationTag: UInt32 = 1) -> PacketBuilder {
    adding(SCTPLayer(source: source, destination: destination, verificationTag: verificationTag))
  }

  /// An ICMP or ICMPv6 header, by the family of the IP header before it.
  public func icmp(_ message: ICMPMessage, checksum: UInt16? = nil) -> PacketBuilder {
    adding(ICMPLayer(message: message, checksum: checksum))
  }

  /// What an ICMP error quotes: `packet` from its IP header on, cut at `limit` bytes, by default such that an error
  /// without options fits 576 bytes (IPv4) or 1280 bytes (IPv6).
  public func quoting(_ packet: PacketBuilder, limit: Int? = nil) -> PacketBuilder {
    let start = packet.layers.firstIndex { $0 is IPLayer } ?? packet.layers.startIndex
    let family = (packet.layers.first { $0 is IPLayer } as? IPLayer)?.family ?? .ipv4
    return payload(encode(Array(packet.layers[start...])).prefix(limit ?? (family == .ipv4 ? 548 : 1232)))
  }

  /// A VXLAN header (RFC 7348), behind which ``packet(_:)`` goes. `identifier` has 24 bits.
  public func vxlan(_ identifier: UInt32) -> PacketBuilder { adding(VXLANLayer(identifier: identifier)) }

  /// A whole packet inside this one.
  public func packet(_ inner: PacketBuilder) -> PacketBuilder {
    var longer = self
    longer.layers += inner.layers
    return longer
  }

  /// Data.
  public func payload(_ bytes: some Sequence<UInt8>) -> PacketBuilder { adding(PayloadLayer(bytes: Array(bytes))) }

  /// Data in UTF-8.
  public func payload(_ text: String) -> PacketBuilder { payload(text.utf8) }

  /// `count` bytes of data, of which no two neighbours are equal.
  public func payload(count: Int) -> PacketBuilder { payload((0..<count).map { UInt8(truncatingIfNeeded: $0) }) }
}

// MARK: - Fragments

extension PacketBuilder {
  /// The packet cut into fragments, each with at most `size` bytes behind the outermost IP header (and behind IPv6's
  /// fragment header). Without an IP header, or where all fits, the packet is whole.
  ///
  /// - Precondition: `size` is at least 8; what is not a multiple of 8 is rounded down.
  public func fragments(ofAtMost size: Int, identification: UInt32 = 1) -> [[UInt8]] {
    precondition(size >= 8, "a fragment carries at least 8 bytes")
    guard let index = layers.firstIndex(where: { $0 is IPLayer }), var header = layers[index] as? IPLayer else {
      return [bytes]
    }
    let inside = Array(layers[(index + 1)...])
    let content = encode(inside, outside: header)
    guard content.count > size else { return [bytes] }
    header.protocolNumber = header.protocolNumber ?? inside.first?.ipProtocol(header.family)
    let step = size & ~7
    return stride(from: 0, to: content.count, by: step).map { offset in
      let part = content[offset..<min(offset + step, content.count)]
      header.fragment = IPFragment(
        offset: offset, moreFollow: part.endIndex < content.count, identification: identification)
      return encode(layers[..<index] + [header, PayloadLayer(bytes: Array(part))])
    }
  }
}
