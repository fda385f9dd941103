import BPF
import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// Map `nodes`: the other nodes of the cluster, and where their end of the tunnel is.
final class NodeTable {
  private let map: any MapStorage<UInt32, node>
  private var entries: [UInt32: node] = [:]
  /// By which number each is known.
  let numbers: NodeNumbers

  /// Places in `map`, an array of `capacity` entries.
  init(_ map: any MapStorage<UInt32, node>, capacity: Int) {
    numbers = NodeNumbers(capacity: UInt32(capacity))
    self.map = map
  }

  /// Reads what a former agent has left, so that each node keeps its number.
  func adopt() throws(BPFError) {
    try map.forEach { number, entry throws(BPFError) in
      guard entry.name != 0 else { return }
      self.numbers.adopt(number, nameHash: entry.name)
      self.entries[number] = entry
    }
  }

  /// Writes where `others` can be reached from `own`: by which interface, if that is known, and the most that a packet
  /// through the tunnel may have. Both ends of a tunnel choose the same family, the first that both nodes list.
  ///
  /// A node that is gone keeps its number, with no way to it.
  func update(
    _ others: [Node], from own: Node?, mtu: (AddressFamily) -> UInt32, interface: (IPAddress) -> InterfaceIndex?
  ) throws(BPFError) {
    var wanted: [UInt32: node] = [:]
    for other in others {
      let number = numbers.number(of: other.name)
      let common = AddressFamily.allCases.first { own?.address($0) != nil && other.address($0) != nil }
      guard number != 0, let address = common.flatMap(other.address) ?? other.address(.ipv4) ?? other.address(.ipv6)
      else { continue }
      wanted[number] = node(
        address: ip_address(address), name: NodeNumbers.hash(other.name), mtu: mtu(address.family),
        ifindex: interface(address)?.rawValue ?? 0)
    }
    for (number, before) in entries where wanted[number] == nil {
      wanted[number] = node(address: ip_address(high: 0, low: 0), name: before.name, mtu: 0, ifindex: 0)
    }
    for (number, entry) in wanted where entries[number] != entry {
      try map.set(number, entry)
      entries[number] = entry
    }
  }
}

extension node: @retroactive Equatable {
  /// Whether all fields are the same.
  public static func == (left: node, right: node) -> Bool {
    left.name == right.name && left.mtu == right.mtu && left.ifindex == right.ifindex
      && left.address.high == right.address.high && left.address.low == right.address.low
  }
}
