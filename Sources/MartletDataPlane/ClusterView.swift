import CBPF
import MartletModel
import MartletNetworking
import MartletServices

/// The cluster as one node sees it: what each address and prefix is to this node, by the desired state alone.
///
/// Every data plane fills its tables from it; what only the kernel knows - own addresses, where a pod is plugged in -
/// is handed in.
struct ClusterView {
  let state: ClusterState
  /// This node's name.
  let nodeName: String
  /// By which number each other node is known.
  let numbers: NodeNumbers

  /// This node, if the state has it.
  var node: Node? { state.nodes[nodeName] }

  /// The other nodes, by name.
  var otherNodes: [Node] {
    state.nodes.values.filter { $0.name != nodeName }.sorted { $0.name < $1.name }
  }

  /// A pod with an address that another has, which comes before by name.
  typealias AddressConflict = (pod: NamespacedName, address: IPAddress, owner: NamespacedName)

  /// The pods of this node that have addresses of their own, by name.
  var localPods: [Workload] { resolvedPods.pods }

  /// Likewise, with those that are left out: of two that have one address only the first is there.
  var resolvedPods: (pods: [Workload], conflicts: [AddressConflict]) {
    var (pods, conflicts): ([Workload], [AddressConflict]) = ([], [])
    var owners: [IPAddress: NamespacedName] = [:]
    let candidates = state.workloads.values.filter { $0.node == nodeName && $0.hasOwnAddresses }
    for pod in candidates.sorted(by: { $0.name < $1.name }) {
      if let (address, owner) = pod.addresses.lazy.compactMap({ address in owners[address].map { (address, $0) } })
        .first
      {
        conflicts.append((pod.name, address, owner))
      } else {
        for address in pod.addresses { owners[address] = pod.name }
        pods.append(pod)
      }
    }
    return (pods, conflicts)
  }

  /// What to enter for nodes and pods in map `addresses`. A pod without a slot has no entry.
  ///
  /// - Parameter ownAddresses: those of this node's interfaces; the state may know of fewer.
  func addresses(
    ownAddresses: [IPAddress] = [], slots: [NamespacedName: UInt32]
  ) -> [IPAddress: address_entry] {
    var entries: [IPAddress: address_entry] = [:]
    for other in otherNodes {
      let entry = address_entry(ADDRESS_OTHER_NODE, index: numbers.number(of: other.name))
      for address in other.addresses { entries[address.address] = entry }
    }
    for address in ownAddresses + (node?.addresses.map(\.address) ?? []) {
      entries[address] = address_entry(ADDRESS_THIS_NODE)
    }
    for pod in localPods {
      guard let slot = slots[pod.name] else { continue }
      for address in pod.addresses { entries[address] = address_entry(ADDRESS_LOCAL_POD, index: slot) }
    }
    return entries
  }

  /// What to enter in map `prefixes`: pod ranges, pods of other nodes within this one's, which ranges are masqueraded,
  /// and who is excepted from direct return.
  ///
  /// - Parameter masqueradePools: `nil`: the pod ranges of every node.
  func prefixes(masqueradePools: [IPPrefix]?, directReturnExclusions: [IPPrefix]) -> [IPPrefix: prefix_entry] {
    var entries: [IPPrefix: prefix_entry] = [:]
    func mark(_ prefix: IPPrefix, _ flags: prefix_flag..., node: UInt32 = 0) {
      var entry = entries[prefix] ?? prefix_entry(flags: 0, node: node)
      for flag in flags { entry.flags |= flag.rawValue }
      entries[prefix] = entry
    }
    for node in state.nodes.values {
      let number = node.name == nodeName ? 0 : numbers.number(of: node.name)
      for prefix in node.podPrefixes {
        mark(prefix, PREFIX_POD, node: number)
        if node.name == nodeName { mark(prefix, PREFIX_LOCAL_POD) }
        if masqueradePools == nil { mark(prefix, PREFIX_MASQUERADE) }
      }
    }
    for (address, number) in podsElsewhere(within: node?.podPrefixes ?? []) {
      mark(IPPrefix(address), PREFIX_POD, node: number)
      if masqueradePools == nil { mark(IPPrefix(address), PREFIX_MASQUERADE) }
    }
    for pool in masqueradePools ?? [] { mark(pool, PREFIX_MASQUERADE) }
    for range in directReturnExclusions { mark(range, PREFIX_NO_DSR) }
    return entries
  }

  /// The addresses that pods of other nodes have of this node's ranges, as some address managers lend them, each with
  /// the number of its node.
  private func podsElsewhere(within ranges: [IPPrefix]) -> [(IPAddress, UInt32)] {
    state.workloads.values.filter(\.hasOwnAddresses).flatMap { pod -> [(IPAddress, UInt32)] in
      guard let owner = pod.node, owner != nodeName, state.nodes[owner] != nil else { return [] }
      return pod.addresses.filter { address in ranges.contains { $0.contains(address) } }
        .map { ($0, numbers.number(of: owner)) }
    }
  }

  /// Enters in `settings` what they say of this node.
  ///
  /// - Parameters:
  ///   - networkAddresses: those that its interfaces to the network have. Of a family that the node's object does not list
  ///     the first stands for the node.
  ///   - nodePortAddresses: those that node ports answer on, the one that stands for the node before others.
  func describeNode(
    in settings: inout settings, usesOverlay: Bool, networkAddresses: [IPAddress] = [], nodePortAddresses: [IPAddress]
  ) {
    func address(_ family: AddressFamily) -> ip_address {
      ip_address(
        node?.address(family) ?? networkAddresses.first { $0.family == family } ?? .unspecified(family))
    }
    func nodePort(_ family: AddressFamily, _ own: ip_address) -> ip_address {
      let usable = nodePortAddresses.filter { $0.family == family && !$0.isLoopback }
      return usable.contains(IPAddress(own)) ? own : ip_address(usable.first ?? .unspecified(family))
    }
    settings.node4 = address(.ipv4)
    settings.node6 = address(.ipv6)
    settings.node_port4 = nodePort(.ipv4, settings.node4)
    settings.node_port6 = nodePort(.ipv6, settings.node6)
    settings.overlay = usesOverlay ? 1 : 0
  }
}
