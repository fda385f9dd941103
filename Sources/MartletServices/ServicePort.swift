import CBPF
import MartletModel
import MartletNetworking

/// A port of a service as it is in force, or will be once its frontends are written.
struct ServicePort {
  /// Its id in every table; never 0.
  let id: UInt32
  let plan: ServicePortPlan
  /// Counted once each on behalf of this port.
  let placements: PerFamily<Placement>

  /// The value of map `frontends` for a frontend of this port.
  func value(for frontend: ServicePortPlan.Frontend) -> frontend {
    let kind = frontend.kind
    let slices = placements[frontend.key.address.family].slices
    var value = CBPF.frontend()
    value.service = id
    value.flags = flags(for: frontend)
    value.affinity_timeout = plan.affinityTimeout
    if plan.usesClusterSet(kind) { value.cluster = slices.cluster }
    // Under any policy: what another node sends here through the tunnel stays here.
    value.local = slices.local
    if usesMaglev(kind) { value.maglev = slices.maglev }
    return value
  }

  private func flags(for frontend: ServicePortPlan.Frontend) -> UInt32 {
    let kind = frontend.kind
    let sets = placements[frontend.key.address.family].sets
    let flags: [(frontend_flag, Bool)] = [
      (FRONTEND_EXTERNAL, kind.isExternal),
      (FRONTEND_EXTERNAL_LOCAL, kind.isExternal && plan.isLocal(kind)),
      (FRONTEND_INTERNAL_LOCAL, !kind.isExternal && plan.isLocal(kind)),
      (FRONTEND_HAS_ENDPOINTS, sets.hasEndpoints),
      (FRONTEND_SOURCE_RANGES, kind == .loadBalancer && plan.sourceRanges != nil),
      (FRONTEND_MAGLEV, usesMaglev(kind) && !sets.cluster.isEmpty),
      (FRONTEND_DSR, kind.isExternal && plan.usesDirectReturn),
    ]
    return flags.reduce(0) { $1.1 ? $0 | $1.0.rawValue : $0 }
  }

  /// Maglev is for frontends whose clients all choose from the cluster set. Under a Local policy the choice is among
  /// this node's own endpoints, where agreeing with other nodes has no meaning.
  private func usesMaglev(_ kind: FrontendClass) -> Bool {
    plan.usesMaglev && !plan.isLocal(kind)
  }
}
