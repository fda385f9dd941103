import BPF
import CBPF
import MartletModel
import MartletNetworking

extension ServiceTable {
  /// Why tables could not be taken over.
  public enum AdoptionError: Error, Sendable, CustomStringConvertible {
    /// A map could not be read.
    case map(BPFError)
    /// Slices of the frontends overlap, or reach beyond their array. Only something else than a `ServiceTable` writes
    /// that; clear the maps and begin anew.
    case inconsistent

    /// What is wrong, and the remedy.
    public var description: String {
      switch self {
      case .map(let error): "\(error)"
      case .inconsistent:
        "map frontends has slices that overlap or that exceed map backends or maglev: "
          + "remove the pinned maps and start again"
      }
    }
  }

  /// Begins to take over tables that a predecessor has written: reads what they hold, once.
  ///
  /// Until ``finishAdoption()`` the tables stay as they are; ``apply(_:)`` only takes note. Call it before the first
  /// `apply`, and not before a ``gracePeriod`` has passed since the predecessor's last write. If it throws, nothing was
  /// written, and this table is of no more use.
  public func adopt() throws(AdoptionError) {
    precondition(entries.isEmpty && slots.isEmpty, "take-over comes before the first update")
    if let error = takeOver() { throw error }
    isAdopting = true
  }

  private func takeOver() -> AdoptionError? {
    do throws(BPFError) {
      let found = try readFrontends()
      guard slices.adopt(found.map(\.value)) else { return .inconsistent }
      for (key, value) in found { adopt(value, at: key) }
      pendingRanges.formUnion(try sourceRanges.adopt())
      try addresses.adopt()
    } catch {
      return .map(error)
    }
    return nil
  }

  private func readFrontends() throws(BPFError) -> [(key: FrontendKey, value: frontend)] {
    var found: [(FrontendKey, frontend)] = []
    try maps.frontends.forEach { (key: frontend_key, value: frontend) throws(BPFError) in
      found.append((FrontendKey(key), value))
    }
    return found
  }

  private func adopt(_ value: frontend, at key: FrontendKey) {
    slots[key] = FrontendSlot(installed: value)
    ids.adopt(value.service)
    affinity.setTimeout(value.affinity_timeout, of: value.service, isRemoved: false)
  }

  /// Ends the take-over: writes the difference between the tables and the state that ``apply(_:)`` was given, which must
  /// be complete by now, services and endpoint slices both. What nothing in it asks for is removed.
  public func finishAdoption() -> Outcome {
    guard isAdopting else { return Outcome() }
    isAdopting = false
    var outcome = Outcome()
    pending.formUnion(slots.keys)
    heirs = frontendHeirs()
    replan(Set(entries.keys), &outcome)
    heirs = [:]
    ids.endMatching()
    write(&outcome)
    do throws(BPFError) {
      try affinity.removeEntries { !self.ids.isInUse($0) }
    } catch {
      outcome.problems.append(ServiceProblem("session affinity of removed services", .map(error)))
    }
    return outcome
  }

  /// Who will have each frontend: where two claim one, what stands there at take-over is about the one that has it.
  private func frontendHeirs() -> [FrontendKey: FrontendSlot.Claim] {
    var heirs: [FrontendKey: FrontendSlot.Claim] = [:]
    for entry in entries.values {
      guard let service = entry.service else { continue }
      for plan in planner.plans(for: service, slices: []) {
        for frontend in plan.frontends {
          let claim = FrontendSlot.Claim(kind: frontend.kind, port: plan.name, id: 0)
          heirs[frontend.key] = min(heirs[frontend.key] ?? claim, claim)
        }
      }
    }
    return heirs
  }

  /// What the tables say at take-over about a port that is new to us: the id it had and where its endpoints stand.
  func standing(_ plan: ServicePortPlan) -> (id: UInt32?, placements: PerFamily<Placement>?) {
    guard !ids.unmatched.isEmpty else { return (nil, nil) }
    let own = plan.frontends.compactMap { frontend in
      heirs[frontend.key]?.port == plan.name
        ? slots[frontend.key]?.installed.map { (family: frontend.key.address.family, value: $0) } : nil
    }
    guard let id = own.lazy.map(\.value.service).first(where: ids.unmatched.contains) else { return (nil, nil) }
    let placements = PerFamily { family in
      slices.placement(of: own.lazy.filter { $0.family == family && $0.value.service == id }.map(\.value))
    }
    return (id, placements)
  }
}
