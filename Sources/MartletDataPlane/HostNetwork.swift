import MartletModel
import MartletNetworking
import Netlink

/// What the kernel knows of the node: which interfaces lead where. Read afresh at each change, since it is small.
struct HostNetwork {
  private let netlink: NetlinkSocket
  private(set) var links: [InterfaceIndex: NetworkLink] = [:]
  private(set) var addresses: [InterfaceAddress] = []

  init(_ netlink: NetlinkSocket) throws(NetlinkError) {
    self.netlink = netlink
    links = Dictionary(try netlink.links().map { ($0.index, $0) }, uniquingKeysWith: { $1 })
    addresses = try netlink.addresses()
  }

  /// The interfaces that lead to the network: those named, else those that hold one of the node's addresses or a default
  /// route.
  func networkInterfaces(named names: [String], of node: Node?) throws(NetlinkError) -> Set<InterfaceIndex> {
    guard names.isEmpty else {
      return Set(links.values.filter { names.contains($0.name) }.map(\.index))
    }
    let own = Set(node?.addresses.map(\.address) ?? [])
    let holding = addresses.filter { own.contains($0.address) }.map(\.interface)
    return Set(holding + (try netlink.interfacesWithDefaultRoute())).filter { links[$0]?.isLoopback == false }
  }

  /// The interfaces that the kernel's routes to addresses of `ranges` lead through on the link, other than to the network:
  /// where pods are plugged in, whether or not anybody has said yet which.
  func podInterfaces(
    in ranges: [IPPrefix], excluding network: Set<InterfaceIndex>
  ) throws(NetlinkError) -> Set<InterfaceIndex> {
    guard !ranges.isEmpty else { return [] }
    let routes = try netlink.routes().filter { route in
      route.action == .unicast && route.gateway == nil && ranges.contains { $0.contains(route.destination) }
    }
    return Set(routes.compactMap(\.interface)).subtracting(network).filter { links[$0]?.isLoopback == false }
  }

  /// The interfaces, other than ports of a bridge or a bond, that carry traffic of their own and that `isWanted`.
  func interfaces(where isWanted: (InterfaceIndex) -> Bool) -> Set<InterfaceIndex> {
    Set(links.values.filter { !$0.isLoopback && $0.isUp && $0.master == nil && isWanted($0.index) }.map(\.index))
  }

  /// The kernel's own route to `address`, if there is one.
  func route(to address: IPAddress) throws(NetlinkError) -> Route? { try netlink.route(to: address) }

  /// The interfaces that default routes lead through.
  func interfacesWithDefaultRoute() throws(NetlinkError) -> Set<InterfaceIndex> {
    Set(try netlink.interfacesWithDefaultRoute())
  }

  /// The interfaces with their addresses, by which host endpoints know them.
  var interfaces: [HostInterface] {
    let addresses = Dictionary(grouping: addresses, by: \.interface)
    return links.values.map { link in
      HostInterface(index: link.index, name: link.name, addresses: (addresses[link.index] ?? []).map(\.address))
    }
  }

  /// The names among `names` that no interface has.
  func missing(_ names: [String]) -> [String] {
    names.filter { name in !links.values.contains { $0.name == name } }
  }

  /// The addresses by which this node can be reached, other than through a link alone. Sorted, each once.
  var ownAddresses: [IPAddress] { Set(addresses.filter { $0.scope == .universe }.map(\.address)).sorted() }

  /// Likewise by `interfaces` alone; the lasting ones first.
  func addresses(of interfaces: Set<InterfaceIndex>) -> [IPAddress] {
    let found = addresses.filter { $0.scope == .universe && interfaces.contains($0.interface) }
      .sorted { $0.address < $1.address }
    return (found.filter { !$0.flags.contains(.secondary) } + found.filter { $0.flags.contains(.secondary) })
      .map(\.address)
  }

  /// Where the pod is plugged in: the interface that the kernel's own route to its address names. `nil` while there is
  /// none; a route by a gateway or by an interface to the network leads to some other node.
  func port(of pod: Workload, excluding network: Set<InterfaceIndex>) throws(NetlinkError) -> EndpointTable.Port? {
    for address in pod.addresses {
      guard let route = try netlink.route(to: address), route.action == .unicast, route.gateway == nil,
        let interface = route.interface, !network.contains(interface), let link = links[interface], !link.isLoopback
      else { continue }
      return EndpointTable.Port(interface: interface, mtu: UInt32(route.mtu ?? link.mtu))
    }
    return nil
  }
}
