import BPF
import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Netlink

/// Pods, interfaces and addresses: what the node is found to be.
extension BPFDataPlane {
  func updateNode() -> [DataPlaneProblem] {
    var problems: [DataPlaneProblem] = []
    do {
      let host = try HostNetwork(netlink)
      let node = cluster.node
      network = try host.networkInterfaces(named: options.interfaces, of: node)
      networkAddresses = host.addresses(of: network)
      problems += host.missing(options.interfaces).map {
        DataPlaneProblem("interface \($0)", "there is none of that name: correct --interface, or create it")
      }
      let mtu = network.compactMap { host.links[$0]?.mtu }.min() ?? 1_500
      var plugged: [NamespacedName: UInt32] = [:]
      problems += try plugPods(host, network, &plugged)
      problems += policy.assign(plugged)
      problems += policy.protect(host.interfaces)
      problems += updateTunnel(mtu: mtu)
      // Those by which a pod may be plugged in that nobody has told of yet must not let it speak.
      let ports = try host.podInterfaces(in: node?.podPrefixes ?? [], excluding: network)
        .union(endpoints.interfaces(of: plugged.values))
      network.formUnion(
        host.interfaces {
          policy.placement.protects($0) && !ports.contains($0) && $0.rawValue != settings.tunnel_ifindex
        })
      problems += try updateForwarding(host)
      problems += updateSettings()
      problems += attach(.net, to: network) + updateWire()
      problems += attach(.host, to: [.loopback])
      problems += attach(.pod, to: ports)
      problems += updateCluster(host, mtu: mtu)
      problems += addresses.replace(
        with: cluster.addresses(ownAddresses: host.ownAddresses, slots: plugged), restoring: services)
      problems += removePods(exceptFor: Set(plugged.keys), ports)
      problems += judgeAgainIfNeeded()
      problems += updateOwnAddresses(host)
    } catch {
      problems.append(DataPlaneProblem("node \(options.configuration.nodeName)", "\(error)"))
    }
    return problems
  }

  /// A node alone needs no tunnel.
  private func updateTunnel(mtu: Int) -> [DataPlaneProblem] {
    guard !cluster.otherNodes.isEmpty else { return [] }
    return reporting("tunnel device \(Tunnel.name)") {
      let tunnel = try Tunnel(netlink, mtu: mtu)
      try attachments.attach(.tunnel, to: tunnel.interface)
      settings.tunnel_ifindex = tunnel.interface.rawValue
    }
  }

  /// Only where somebody leaves it to us: it asks the kernel once for each other node.
  private func updateForwarding(_ host: HostNetwork) throws -> [DataPlaneProblem] {
    guard
      services.configuration.defaultForwarding == .automatic
        || state.services.values.contains(where: { $0.forwarding == .automatic })
    else { return [] }
    let preflight = try Preflight(cluster, host, interfaces: options.interfaces)
    return finish(services.setCarriesDirectReturn(preflight.carriesDirectReturn))
  }

  var cluster: ClusterView {
    ClusterView(state: state, nodeName: options.configuration.nodeName, numbers: nodes.numbers)
  }

  private func updateCluster(_ host: HostNetwork, mtu: Int) -> [DataPlaneProblem] {
    reporting("other nodes") {
      try nodes.update(cluster.otherNodes, from: cluster.node, mtu: { UInt32(Tunnel.innerMTU(mtu, $0)) }) { address in
        // Most nodes have one, and the kernel is not asked for each of thousands at each change.
        network.count == 1 ? network.first : try? host.route(to: address)?.interface
      }
      try prefixes.replace(
        with: cluster.prefixes(
          masqueradePools: options.masqueradePools, directReturnExclusions: options.directReturnExclusions))
    }
  }

  func updateSettings() -> [DataPlaneProblem] {
    let node = cluster.node.map(withOwnAddresses)
    cluster.describeNode(
      in: &settings, usesOverlay: options.usesOverlay, networkAddresses: networkAddresses,
      nodePortAddresses: node.map(options.configuration.nodePortAddresses) ?? [])
    settings.workload_tunnels = options.configuration.allowsWorkloadTunnels ? 1 : 0
    return reporting("settings") { try maps.settings.set(0, settings) }
  }

  /// Finds where pods are plugged in and gives each a slot. Then come their policies, their programs and at last their
  /// addresses: from the first packet that finds a pod there is somebody to judge it and somebody to deliver it.
  private func plugPods(
    _ host: HostNetwork, _ network: Set<InterfaceIndex>, _ plugged: inout [NamespacedName: UInt32]
  ) throws -> [DataPlaneProblem] {
    let (pods, conflicts) = cluster.resolvedPods
    var problems = conflicts.map {
      DataPlaneProblem("pod \($0.pod)", "pod \($0.owner) has its address \($0.address) as well, and counts alone")
    }
    var leftAlone: Set<UInt32> = []
    for pod in pods {
      guard let port = try host.port(of: pod, excluding: network) else { continue }
      if !pod.usesConnectTimeBalancing { leftAlone.insert(port.interface.rawValue) }
      problems += reporting("pod \(pod.name)") { plugged[pod.name] = try endpoints.assign(pod.name, to: port) }
    }
    return problems + reporting("connect-time balancing") { try sockets?.leaveAlone(leftAlone) }
  }

  /// Their flows are judged again, and then found to have nobody.
  private func removePods(
    exceptFor plugged: Set<NamespacedName>, _ ports: Set<InterfaceIndex>
  ) -> [DataPlaneProblem] {
    let gone = Set(endpoints.slots.filter { !plugged.contains($0.key) }.values)
    return reporting("pods that are gone") {
      try endpoints.keep(only: plugged)
      policy.release(gone)
      let kept = ports.union(network).union([.loopback, InterfaceIndex(settings.tunnel_ifindex)])
      for interface in attachments.roles.keys where !kept.contains(interface) { attachments.detach(from: interface) }
    } + (gone.isEmpty ? [] : judgeAgain())
  }

  private func attach(
    _ role: InterfaceAttachments.Role, to interfaces: Set<InterfaceIndex>
  ) -> [DataPlaneProblem] {
    interfaces.sorted().flatMap { interface in
      reporting("interface \(interface)") { try attachments.attach(role, to: interface) }
    }
  }
}

extension StateChange {
  /// Whether it, made to `state`, is about what is plugged into `node` or where nodes are, rather than about services and
  /// policies. Of pods elsewhere, and of a pod's labels, the node's own tables know nothing.
  func concerns(node: String, in state: ClusterState) -> Bool {
    switch key {
    case .node, .hostEndpoint: true
    case .workload(let name):
      Plug(changed, of: node, in: state) != Plug(state.workloads[name], of: node, in: state)
    case .namespace, .endpointSlice, .service, .serviceRange, .serviceAccount, .profile, .tier, .networkSet, .policy:
      false
    }
  }

  private var changed: Workload? { if case .set(.workload(let workload)) = self { workload } else { nil } }

  /// What a node's tables know of a pod: one of its own, or one elsewhere that has an address of the node's ranges.
  private struct Plug: Equatable {
    let owner: String
    let addresses: [IPAddress]
    let allowedSources: [IPPrefix]
    let usesConnectTimeBalancing: Bool

    /// `nil` if they know nothing.
    init?(_ workload: Workload?, of node: String, in state: ClusterState) {
      guard let workload, let owner = workload.node, workload.hasOwnAddresses else { return nil }
      let ranges = state.nodes[node]?.podPrefixes ?? []
      addresses =
        owner == node
        ? workload.addresses : workload.addresses.filter { address in ranges.contains { $0.contains(address) } }
      guard !addresses.isEmpty else { return nil }
      self.owner = owner
      allowedSources = workload.allowedSources
      usesConnectTimeBalancing = workload.usesConnectTimeBalancing
    }
  }
}
