import BPF
import CBPF
import MartletModel
import MartletNetworking

extension ServiceTable {
  /// Brings the ports of `services` into line with their plans; what this makes of the frontends is `pending`.
  func replan(_ services: Set<NamespacedName>, _ outcome: inout Outcome) {
    for name in services.sorted() { replan(name, &outcome) }
    // Not before all is done: who had the frontend may be about to give it up.
    for key in contested.sorted() { noteConflict(at: key, &outcome) }
    contested = []
  }

  private func replan(_ name: NamespacedName, _ outcome: inout Outcome) {
    guard var entry = entries[name] else { return }
    stalled.remove(name)
    let plans = entry.service.map { planner.plans(for: $0, slices: entry.slices.values) } ?? []
    var gone = entry.ports
    var seen: Set<ServicePortName> = []
    for plan in plans {
      gone[plan.name] = nil
      guard seen.insert(plan.name).inserted else {
        outcome.problems.append(ServiceProblem(plan.name, .duplicatePort))
        continue
      }
      entry.ports[plan.name] = put(plan, replacing: entry.ports[plan.name], &outcome)
    }
    for (port, id) in gone {
      remove(id, &outcome)
      entry.ports[port] = nil
    }
    entries[name] = entry.isEmpty ? nil : entry
  }

  /// Puts `plan` in force and returns the port's id, or `nil` if there is no room and was no port before.
  private func put(_ plan: ServicePortPlan, replacing id: UInt32?, _ outcome: inout Outcome) -> UInt32? {
    let old = id.flatMap { ports[$0] }
    if old?.plan == plan { return id }
    let standing = id == nil ? standing(plan) : (id: nil, placements: old?.placements)
    do throws(SliceTables.NoRoom) {
      let placements = try slices.place(plan, instead: standing.placements)
      let port = ServicePort(
        id: id ?? standing.id.map { ids.match($0) } ?? ids.allocate(), plan: plan, placements: placements)
      ports[port.id] = port
      if let old { release(old) }
      update(old, to: port, &outcome)
      // Of a former agent's backends no more is known than where they are; those that served only as a last resort are
      // not among them.
      if let former = standing.placements, old == nil {
        noteEndedBackends(
          of: port, before: { Array(Set(former[$0].sets.cluster + former[$0].sets.local)) }, now: plan, &outcome)
      }
      return port.id
    } catch {
      stalled.insert(plan.name.service)
      outcome.problems.append(
        ServiceProblem(plan.name, .noRoom(map: error.map, needed: error.needed, free: error.free)))
      return id
    }
  }

  private func remove(_ id: UInt32, _ outcome: inout Outcome) {
    guard let port = ports.removeValue(forKey: id) else { return }
    release(port)
    update(port, to: nil, &outcome)
    ids.release(id)
  }

  private func release(_ port: ServicePort) {
    for family in AddressFamily.allCases { slices.release(port.placements[family].slices) }
  }

  /// Everything that follows from a port being `new` now instead of `old`.
  private func update(_ old: ServicePort?, to new: ServicePort?, _ outcome: inout Outcome) {
    guard let id = new?.id ?? old?.id else { return }
    if old?.plan.frontends != new?.plan.frontends { updateClaims(id, old, new) }
    pending.formUnion((new ?? old)?.plan.frontends.map(\.key) ?? [])
    if old?.plan.sourceRanges != new?.plan.sourceRanges { pendingRanges.insert(id) }
    affinity.setTimeout(new?.plan.affinityTimeout ?? 0, of: id, isRemoved: new == nil)
    if let old { noteEndedBackends(of: old, before: { old.plan.sets[$0].usable }, now: new?.plan, &outcome) }
  }

  private func updateClaims(_ id: UInt32, _ old: ServicePort?, _ new: ServicePort?) {
    for frontend in old?.plan.frontends ?? [] {
      slots[frontend.key]?.removeClaim(of: id)
      pending.insert(frontend.key)
      addresses.release(frontend)
    }
    guard let new else { return }
    for frontend in new.plan.frontends {
      let claim = FrontendSlot.Claim(kind: frontend.kind, port: new.plan.name, id: id)
      slots[frontend.key, default: FrontendSlot()].add(claim)
      addresses.retain(frontend)
      contested.insert(frontend.key)
    }
  }

  private func noteConflict(at key: FrontendKey, _ outcome: inout Outcome) {
    guard let claims = slots[key]?.claims, claims.count > 1 else { return }
    for loser in claims.dropFirst() {
      outcome.problems.append(ServiceProblem(loser.port, .claimed(key, by: claims[0].port)))
    }
  }

  /// Policies and topology do not matter here: a flow stays where it is while its backend serves.
  private func noteEndedBackends(
    of port: ServicePort, before: (AddressFamily) -> [Backend], now plan: ServicePortPlan?, _ outcome: inout Outcome
  ) {
    guard port.plan.name.protocol == .udp else { return }
    for family in AddressFamily.allCases {
      let before = before(family)
      let after = plan?.sets[family].usable ?? []
      guard before != after else { continue }
      let remaining = Set(after.map(\.endpoint))
      let nodes = Set(after.map(\.node))
      outcome.endedBackends += before.filter { !remaining.contains($0.endpoint) }
        .map { EndedBackend(service: port.id, backend: $0, isLastOnNode: !nodes.contains($0.node)) }
    }
  }
}
