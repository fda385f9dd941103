import MartletModel
import MartletNetworking

@testable import MartletServices

/// What a cluster's state means for one connection, told from the state alone, each time anew and without any of the
/// tables' code: the semantics of services word by word, however slow.
struct Oracle {
  let state: ClusterState
  let configuration: Configuration

  private struct Claim {
    let rank: Int
    let service: Service
    let port: Service.Port
  }

  private var node: Node? { state.nodes[configuration.nodeName] }

  func answer(to client: Client, at key: FrontendKey) -> Answer {
    let claims = state.services.values.flatMap { service in
      service.ports.flatMap { port in
        ranks(of: service, port, at: key).map { Claim(rank: $0, service: service, port: port) }
      }
    }
    let best = claims.min {
      ($0.rank, $0.service.name.description, $0.port.name) < ($1.rank, $1.service.name.description, $1.port.name)
    }
    guard let best else { return answerWithoutClaim(at: key.address) }
    if best.rank == 1, !admits(best.service, client.address, at: key.address) { return .dropped }
    return answer(best, to: client, family: key.address.family)
  }

  /// In which capacities the service answers at `key`: 0 cluster IP, 1 load balancer, 2 external IP, 3 node port.
  private func ranks(of service: Service, _ port: Service.Port, at key: FrontendKey) -> [Int] {
    guard isOurs(service), port.protocol == key.protocol,
      service.clusterIPs.contains(where: { $0.family == key.address.family })
    else { return [] }
    var ranks: [Int] = []
    if port.port == key.port {
      if service.clusterIPs.contains(key.address) { ranks.append(0) }
      if service.kind == .loadBalancer,
        service.loadBalancerIngress.contains(where: { $0.address == key.address && $0.mode == .vip })
      {
        ranks.append(1)
      }
      if service.externalIPs.contains(key.address) { ranks.append(2) }
    }
    if service.kind == .nodePort || service.kind == .loadBalancer, port.nodePort == key.port,
      let node, configuration.nodePortAddresses(of: node).contains(key.address)
    {
      ranks.append(3)
    }
    return ranks
  }

  private func isOurs(_ service: Service) -> Bool {
    service.kind != .externalName && !service.isHeadless && service.proxyName == nil && !service.clusterIPs.isEmpty
  }

  private func answerWithoutClaim(at address: IPAddress) -> Answer {
    let isAllocated = state.services.values.contains {
      isOurs($0) && !$0.ports.isEmpty && $0.clusterIPs.contains(address)
    }
    if isAllocated { return .refused }
    return configuration.serviceCIDRs.contains { $0.contains(address) } ? .dropped : .notService
  }

  private func admits(_ service: Service, _ client: IPAddress, at address: IPAddress) -> Bool {
    if service.sourceRanges.isEmpty || service.sourceRanges.contains(where: { $0.contains(client) }) { return true }
    guard let node else { return false }
    let fromOwnAddress = service.loadBalancerIngress.contains { $0.address == client && $0.mode == .vip }
    return fromOwnAddress
      && node.addresses.contains { own in
        own.address.family == client.family && service.sourceRanges.contains { $0.contains(own.address) }
      }
  }

  // MARK: - Endpoints

  /// One endpoint, all its copies taken together.
  private struct Endpoint: Hashable {
    var backend: Backend
    var source: EndpointSlice.Endpoint
  }

  private func answer(_ claim: Claim, to client: Client, family: AddressFamily) -> Answer {
    let all = endpoints(of: claim, family: family)
    let ready = all.filter { $0.source.isReady }
    let draining = all.filter { !$0.source.isReady && $0.source.isServing && $0.source.isTerminating }
    let isExternal = claim.rank > 0
    let policy = isExternal ? claim.service.externalTrafficPolicy : claim.service.internalTrafficPolicy
    let usesLocal = policy == .local && !(isExternal && client.isOnThisNode)
    let chosen: [Endpoint]
    if usesLocal {
      let local = ready.filter(\.backend.isLocal)
      chosen = local.isEmpty ? draining.filter(\.backend.isLocal) : local
    } else {
      chosen = ready.isEmpty ? draining : narrowed(ready)
    }
    if chosen.isEmpty { return ready.isEmpty && draining.isEmpty ? .refused : .dropped }
    var affinity: UInt32 = 0
    if case .clientIP(let timeout) = claim.service.sessionAffinity { affinity = timeout }
    var forwarding = claim.service.forwarding
    if forwarding == .standard { forwarding = configuration.defaultForwarding }
    if forwarding == .automatic { forwarding = configuration.carriesDirectReturn ? .directReturn : .tunnel }
    return .balanced(
      Set(chosen.map(\.backend)), affinity: affinity, directReturn: isExternal && forwarding == .directReturn)
  }

  private func narrowed(_ ready: [Endpoint]) -> [Endpoint] {
    if ready.allSatisfy({ !$0.source.nodeHints.isEmpty }) {
      let here = ready.filter { $0.source.nodeHints.contains(configuration.nodeName) }
      if !here.isEmpty { return here }
    }
    if let zone = node?.labels["topology.kubernetes.io/zone"],
      ready.allSatisfy({ !$0.source.zoneHints.isEmpty })
    {
      let here = ready.filter { $0.source.zoneHints.contains(zone) }
      if !here.isEmpty { return here }
    }
    return ready
  }

  private func endpoints(of claim: Claim, family: AddressFamily) -> [Endpoint] {
    var found: [Endpoint] = []
    for slice in state.endpointSlices.values.sorted(by: { $0.name.description < $1.name.description }) {
      guard slice.serviceName == claim.service.name.name, slice.name.namespace == claim.service.name.namespace,
        slice.family == family, !slice.isHeadless, slice.proxyName == nil
      else { continue }
      for port in slice.ports where port.name == claim.port.name && port.protocol == claim.port.protocol {
        for endpoint in slice.endpoints where endpoint.address.family == family {
          let isLocal = endpoint.node == configuration.nodeName
          let copy = Endpoint(
            backend: Backend(address: endpoint.address, port: port.port, isLocal: isLocal), source: endpoint)
          add(copy, to: &found)
        }
      }
    }
    return found
  }

  /// Local if any copy is; in other respects the readiest copy counts, of equals the first.
  private func add(_ copy: Endpoint, to found: inout [Endpoint]) {
    guard
      let index = found.firstIndex(where: {
        $0.backend.address == copy.backend.address && $0.backend.port == copy.backend.port
      })
    else {
      found.append(copy)
      return
    }
    let isLocal = found[index].backend.isLocal || copy.backend.isLocal
    if readiness(copy) > readiness(found[index]) { found[index] = copy }
    found[index].backend = Backend(address: copy.backend.address, port: copy.backend.port, isLocal: isLocal)
  }

  private func readiness(_ endpoint: Endpoint) -> Int {
    if endpoint.source.isReady { return 2 }
    return endpoint.source.isServing && endpoint.source.isTerminating ? 1 : 0
  }
}
