import Glibc
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// Whether this node may answer clients directly, as an address that is not its own: direct server return.
///
/// A reply then leaves the pod's node with the service's address, or another node's, for its source. Linux sends it, but
/// routers and virtual networks may take it for forged. A node cannot see what becomes of such a packet, so this looks
/// for what is known to discard them: routers between the nodes, another way out for the reply than the one by which
/// nodes know this one, and clouds that check sources. Nothing found is no proof; ``Service/Forwarding/directReturn``
/// does not ask.
public struct Preflight: Sendable {
  /// One thing looked at.
  public struct Check: Sendable, Hashable, Codable {
    /// What is looked at.
    public let name: String
    /// Whether nothing there is against direct return.
    public let passes: Bool
    /// What was found, and where something is to be done, what.
    public let detail: String
  }

  /// What was looked at.
  public let checks: [Check]

  /// Whether nothing is against it.
  public var carriesDirectReturn: Bool { checks.allSatisfy(\.passes) }

  /// Looks at the network namespace that this runs in as node `nodeName` of `state`.
  ///
  /// - Parameter interfaces: as ``BPFDataPlane/Options/interfaces``.
  /// - Throws: `NetlinkError` (rtnetlink(7)) if the kernel does not tell.
  public init(nodeName: String, state: ClusterState, interfaces: [String] = []) throws {
    let cluster = ClusterView(state: state, nodeName: nodeName, numbers: NodeNumbers(capacity: 0))
    try self.init(cluster, HostNetwork(NetlinkSocket()), interfaces: interfaces)
  }

  init(_ cluster: ClusterView, _ host: HostNetwork, interfaces: [String]) throws {
    guard let node = cluster.node else {
      checks = [
        Check(name: "node", passes: false, detail: "no Node \(cluster.nodeName) among the objects: add it")
      ]
      return
    }
    let network = try host.networkInterfaces(named: interfaces, of: node)
    checks =
      [
        Self.interface(network, host, node, missing: host.missing(interfaces)),
        try Self.wayOut(network, host),
        Self.platform(),
      ] + (try cluster.otherNodes.map { try Self.link(to: $0, network, host) })
  }

  private static func interface(
    _ network: Set<InterfaceIndex>, _ host: HostNetwork, _ node: Node, missing: [String]
  ) -> Check {
    guard missing.isEmpty else {
      return Check(
        name: "interface", passes: false,
        detail: "there is no \(missing.joined(separator: ", ")) here: correct --interface")
    }
    let names = network.compactMap { host.links[$0]?.name }.sorted().joined(separator: ", ")
    return Check(
      name: "interface", passes: !network.isEmpty,
      detail: network.isEmpty
        ? "none holds an address of node \(node.name) or a default route: name it by --interface" : names)
  }

  private static func wayOut(_ network: Set<InterfaceIndex>, _ host: HostNetwork) throws -> Check {
    let others = try host.interfacesWithDefaultRoute().subtracting(network)
    let names = others.compactMap { host.links[$0]?.name }.sorted().joined(separator: ", ")
    return Check(
      name: "way out", passes: others.isEmpty,
      detail: others.isEmpty
        ? "replies leave where nodes know this one"
        : "replies to clients would leave through \(names), where requests do not come in")
  }

  /// Clouds that discard, unless told otherwise, what does not come from a machine's own address.
  private static let checkingVendors = ["Amazon EC2", "Google", "Microsoft Corporation", "Alibaba Cloud", "OpenStack"]

  private static func platform(vendorFile: String = "/sys/class/dmi/id/sys_vendor") -> Check {
    let vendor = firstLine(of: vendorFile)
    let checks = checkingVendors.contains { vendor.hasPrefix($0) }
    return Check(
      name: "platform", passes: !checks,
      detail: checks
        ? "\(vendor) discards foreign sources unless its source check is off; then use --forwarding dsr"
        : vendor.isEmpty ? "unknown" : vendor)
  }

  /// Empty if it cannot be read.
  private static func firstLine(of path: String) -> String {
    guard let file = fopen(path, "re") else { return "" }
    defer { fclose(file) }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      guard let line = fgets(buffer.baseAddress, Int32(buffer.count), file) else { return "" }
      return String(cString: line).split(separator: "\n").first.map(String.init) ?? ""
    }
  }

  private static func link(to node: Node, _ network: Set<InterfaceIndex>, _ host: HostNetwork) throws -> Check {
    for address in AddressFamily.allCases.compactMap(node.address) {
      guard let route = try host.route(to: address), route.action == .unicast, let interface = route.interface else {
        return Check(name: "node \(node.name)", passes: false, detail: "no route to \(address)")
      }
      if let gateway = route.gateway {
        let detail = "\(address) is behind router \(gateway), which may discard sources of another network"
        return Check(name: "node \(node.name)", passes: false, detail: detail)
      }
      if !network.contains(interface) {
        let name = host.links[interface]?.name ?? "\(interface)"
        return Check(name: "node \(node.name)", passes: false, detail: "\(address) is reached through \(name)")
      }
    }
    return Check(name: "node \(node.name)", passes: true, detail: "on the same link")
  }
}
