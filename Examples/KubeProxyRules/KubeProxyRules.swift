import MartletModel
import MartletNetworking

/// The rules that kube-proxy would write on a node for the services of a cluster, to compare with.
///
/// ```swift
/// let rules = KubeProxyRules(state, node: node, .ipv4)
/// rules.iptables  // for iptables-restore, or ip6tables-restore
/// rules.nftables  // for nft -f
/// ```
///
/// The chains, their order and their conditions are kube-proxy's; only the letters that tell one service's chain from
/// another's come from a different hash. Services with session affinity or a `Local` traffic policy have rules of other
/// forms, and are left out.
public struct KubeProxyRules: Sendable {
  /// The rules of kube-proxy's iptables mode, as input of `iptables-restore --noflush`; IPv6 of `ip6tables-restore`.
  public let iptables: String
  /// The rules of kube-proxy's nftables mode, as input of `nft -f -`.
  public let nftables: String

  /// The rules for the services in `state` on `node`, in one family; the node's pod range counts as the cluster's.
  public init(_ state: ClusterState, node: Node, _ family: AddressFamily) {
    let slices = Dictionary(grouping: state.endpointSlices.values) { $0.service }
    let services = state.services.values.sorted { $0.name < $1.name }.filter {
      $0.isProxied() && $0.sessionAffinity == .none && $0.internalTrafficPolicy == .cluster
        && $0.externalTrafficPolicy == .cluster
    }
    let ports = services.flatMap { service in
      service.ports.compactMap { ProxiedPort($0, of: service, endpoints: slices[service.name] ?? [], family) }
    }
    let pods = node.podPrefixes.first { $0.family == family }
    iptables = IPTablesRules(ports: ports, pods: pods).text
    nftables =
      NFTablesRules(
        ports: ports, pods: pods, family: family, nodeAddresses: [node.address(family)].compactMap { $0 }
      ).text
  }
}
