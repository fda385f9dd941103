import MartletNetworking

extension ParsedPacket: CustomStringConvertible {
  /// The packet in one line, for failure messages; ``problems`` come last, after an exclamation mark.
  ///
  ///     02:00:00:00:00:01 > 02:00:00:00:00:02 10.0.0.1:40000 > 10.96.0.10:80 TCP SYN seq 1 ack 0 ttl 64 0 bytes
  public var description: String {
    var words = [ethernet.map(Self.describe), network].compactMap(\.self)
    if let vxlan { words.append("VXLAN \(vxlan)") }
    if let inner {
      words.append("[\(inner.summary)]")
    } else {
      words.append("\(payload.count) bytes")
    }
    return words.joined(separator: " ") + (problems.isEmpty ? "" : " ! " + problems.joined(separator: "; "))
  }

  /// The description without problems, which the outer packet repeats.
  private var summary: String {
    var sound = self
    sound.problems = []
    return sound.description
  }

  private static func describe(_ ethernet: Ethernet) -> String {
    let tag = ethernet.vlan.map { " vlan \($0)" } ?? ""
    let isIP = ethernet.type == EtherType.ipv4 || ethernet.type == EtherType.ipv6
    return "\(ethernet.source) > \(ethernet.destination)\(tag)"
      + (isIP ? "" : " type 0x\(String(ethernet.type, radix: 16))")
  }

  private var network: String? {
    guard let ip else { return nil }
    var text = "\(endpoint(ip.source, sourcePort)) > \(endpoint(ip.destination, destinationPort)) \(ip.protocolNumber)"
    switch transport {
    case .tcp(let tcp): text += " \(tcp.flags) seq \(tcp.sequence) ack \(tcp.acknowledgement)"
    case .udp(_, _, hasChecksum: false): text += " without checksum"
    case .sctp(_, _, let tag): text += " tag \(tag)"
    case .icmp(let message): text += " \(message)"
    case .udp, nil: break
    }
    text += " ttl \(ip.timeToLive)"
    if ip.trafficClass != 0 { text += " class \(ip.trafficClass)" }
    if ip.identification != 0 { text += " id \(ip.identification)" }
    if ip.dontFragment { text += " df" }
    if let fragment = ip.fragment { text += " fragment \(fragment.offset)\(fragment.moreFollow ? "+" : "")" }
    return text
  }

  private func endpoint(_ address: IPAddress, _ port: UInt16?) -> String {
    guard let port else { return "\(address)" }
    return address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)"
  }
}
