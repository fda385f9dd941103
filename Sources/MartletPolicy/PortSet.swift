import CBPF
import MartletModel
import MartletNetworking

/// A set of indexes of map `policy_ports`: protocols, with ports where they have some, or with ICMP types and codes.
struct PortSet: Hashable {
  /// Sorted, not empty, and with room between them.
  private(set) var ranges: [Range<Int>]

  /// The set of `ranges`, in any order.
  init(_ ranges: [Range<Int>]) {
    self.ranges = []
    for range in ranges.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound {
        self.ranges[self.ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  var isEmpty: Bool { ranges.isEmpty }

  /// Indexes in the set.
  var count: Int { ranges.reduce(0) { $0 + $1.count } }

  func intersection(_ other: PortSet) -> PortSet {
    var result: [Range<Int>] = []
    var (left, right) = (ranges[...], other.ranges[...])
    while let a = left.first, let b = right.first {
      let common = a.clamped(to: b)
      if !common.isEmpty { result.append(common) }
      if a.upperBound <= b.upperBound { left.removeFirst() } else { right.removeFirst() }
    }
    return PortSet(result)
  }

  func subtracting(_ other: PortSet) -> PortSet {
    var result: [Range<Int>] = []
    for range in ranges {
      var start = range.lowerBound
      for hole in other.ranges where hole.overlaps(range) {
        result.append(start..<max(start, hole.lowerBound))
        start = hole.upperBound
      }
      result.append(start..<max(start, range.upperBound))
    }
    return PortSet(result)
  }
}

// MARK: - Planes

/// The planes of map `policy_ports` that hold the sender's ports, or those that hold all else.
enum PortSide: Hashable {
  case source
  case destination
}

extension PortSet {
  private static let planeSize = 1 << 16

  /// One plane, of which the numbers of `numbers` are meant.
  init(_ plane: policy_plane, _ numbers: ClosedRange<Int> = 0...0xffff) {
    let start = Int(plane.rawValue) * Self.planeSize
    self.init([(start + numbers.lowerBound)..<(start + numbers.upperBound + 1)])
  }

  static func union(_ sets: some Sequence<PortSet>) -> PortSet { PortSet(sets.flatMap(\.ranges)) }

  /// Every packet.
  static let all = union([
    PortSet(POLICY_PLANE_TCP), PortSet(POLICY_PLANE_UDP), PortSet(POLICY_PLANE_SCTP), icmp,
    PortSet(POLICY_PLANE_OTHER, 0...0xff),
  ])

  private static let icmp = union([PortSet(POLICY_PLANE_ICMP), PortSet(POLICY_PLANE_ICMPV6)])

  /// All packets of protocols with ports.
  static func withPorts(_ side: PortSide) -> PortSet { ports(side, [.all]) }

  /// Packets with one of these ports.
  static func ports(_ side: PortSide, _ ports: [PortRange]) -> PortSet {
    let planes =
      side == .destination
      ? [POLICY_PLANE_TCP, POLICY_PLANE_UDP, POLICY_PLANE_SCTP]
      : [POLICY_PLANE_SOURCE_TCP, POLICY_PLANE_SOURCE_UDP, POLICY_PLANE_SOURCE_SCTP]
    return union(planes.flatMap { plane in ports.map { PortSet(plane, Int($0.first)...Int($0.last)) } })
  }

  /// All packets of a protocol.
  static func `protocol`(_ number: L4Protocol) -> PortSet {
    switch number {
    case .tcp: PortSet(POLICY_PLANE_TCP)
    case .udp: PortSet(POLICY_PLANE_UDP)
    case .sctp: PortSet(POLICY_PLANE_SCTP)
    case .icmp: PortSet(POLICY_PLANE_ICMP)
    case .icmpv6: PortSet(POLICY_PLANE_ICMPV6)
    default: PortSet(POLICY_PLANE_OTHER, Int(number.rawValue)...Int(number.rawValue))
    }
  }

  /// ICMP messages, of both families' ICMP.
  static func icmp(_ match: PolicyRule.ICMPMatch) -> PortSet {
    let type = Int(match.type) << 8
    let numbers = match.code.map { (type + Int($0))...(type + Int($0)) } ?? type...(type + 0xff)
    return union([PortSet(POLICY_PLANE_ICMP, numbers), PortSet(POLICY_PLANE_ICMPV6, numbers)])
  }
}

extension PolicyPacket {
  /// Where map `policy_ports` has the class of the packet's protocol and destination.
  var portIndex: Int {
    let plane: policy_plane
    switch `protocol` {
    case .tcp: plane = POLICY_PLANE_TCP
    case .udp: plane = POLICY_PLANE_UDP
    case .sctp: plane = POLICY_PLANE_SCTP
    case .icmp: plane = POLICY_PLANE_ICMP
    case .icmpv6: plane = POLICY_PLANE_ICMPV6
    default: return Int(POLICY_PLANE_OTHER.rawValue) << 16 | Int(`protocol`.rawValue)
    }
    return Int(plane.rawValue) << 16 | Int(destinationPort)
  }

  /// Where map `policy_ports` has the class of the packet's source port; `nil` if the protocol has none.
  var sourcePortIndex: Int? {
    let plane: policy_plane
    switch `protocol` {
    case .tcp: plane = POLICY_PLANE_SOURCE_TCP
    case .udp: plane = POLICY_PLANE_SOURCE_UDP
    case .sctp: plane = POLICY_PLANE_SOURCE_SCTP
    default: return nil
    }
    return Int(plane.rawValue) << 16 | Int(sourcePort)
  }
}
