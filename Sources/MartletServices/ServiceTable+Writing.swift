import BPF
import CBPF
import MartletModel
import MartletNetworking

extension ServiceTable {
  /// Writes what is pending, in the order in which no reader ever finds what is neither old nor new.
  ///
  /// Frontends come after the source ranges that they ask for, and go before them. What decides about an address without
  /// a frontend changes after the last frontend has come and before the first one goes: no frontend is needed, or
  /// missed, at that moment.
  func write(_ outcome: inout Outcome) {
    let blocked = addSourceRanges(&outcome)
    let steps = pendingSteps(blocked: blocked)
    let refused = perform(steps.filter { $0.new != nil }, &outcome)
    outcome.problems += addresses.write()
    let removals = steps.filter { $0.new == nil }
    let stuck = perform(removals, &outcome)
    // Removals may have made the room that additions lacked. Not the other way round: a service that changes its port
    // would be unknown for a moment.
    let failed = removals.isEmpty ? refused : perform(refused.map(\.step), &outcome)
    for failure in failed + stuck {
      let owner = slots[failure.step.key]?.winner?.port.description
      outcome.problems.append(ServiceProblem(owner ?? "frontend \(failure.step.key)", .map(failure.error)))
    }
    removeSourceRanges(blocked: blocked, &outcome)
  }

  // MARK: - Frontends

  /// One frontend's step from what is in the kernel's table to what should be. `new` is `nil` to remove it.
  private struct Step {
    let key: FrontendKey
    let old: frontend?
    let new: frontend?
  }

  private func pendingSteps(blocked: Set<UInt32>) -> [Step] {
    var steps: [Step] = []
    for key in pending.sorted() {
      let slot = slots[key] ?? FrontendSlot()
      let new = slot.winner.flatMap { claim in
        ports[claim.id]?.value(for: .init(key: key, kind: claim.kind))
      }
      if let new, blocked.contains(new.service) { continue }
      if isSame(slot.installed, new) {
        pending.remove(key)
        if slot.isEmpty { slots[key] = nil }
      } else {
        steps.append(Step(key: key, old: slot.installed, new: new))
      }
    }
    return steps
  }

  private func isSame(_ left: frontend?, _ right: frontend?) -> Bool {
    switch (left, right) {
    case (nil, nil): true
    case (let left?, let right?): left.isIdentical(to: right)
    default: false
    }
  }

  /// Takes `steps`, all additions or all removals, with one call if it can. Returns those that failed.
  private func perform(_ steps: [Step], _ outcome: inout Outcome) -> [(step: Step, error: BPFError)] {
    guard !steps.isEmpty else { return [] }
    // Counted before the write: from then on a reader may hold them.
    for case let new? in steps.lazy.map(\.new) { retain(new) }
    if steps.count > 1, (try? writeBatch(steps)) != nil {
      for step in steps { complete(step, &outcome) }
      return []
    }
    // A batch that fails does not say what it has written. Writing again does no harm.
    var failed: [(Step, BPFError)] = []
    for step in steps {
      do throws(BPFError) {
        try writeOne(step)
        complete(step, &outcome)
      } catch {
        if isWritten(step) { complete(step, &outcome) } else { failed.append((step, error)) }
      }
    }
    return failed
  }

  private func writeBatch(_ steps: [Step]) throws(BPFError) {
    let keys = steps.map(\.key.key)
    let values = steps.compactMap(\.new)
    if values.isEmpty {
      try maps.frontends.remove(keys: keys)
    } else {
      try maps.frontends.update(keys: keys, values: values, mode: .set)
    }
  }

  private func writeOne(_ step: Step) throws(BPFError) {
    if let new = step.new {
      try maps.frontends.set(step.key.key, new)
    } else {
      try maps.frontends.remove(step.key.key)
    }
  }

  /// Enters into the books that the kernel's table has `step.new`.
  private func complete(_ step: Step, _ outcome: inout Outcome) {
    slots[step.key, default: FrontendSlot()].installed = step.new
    pending.remove(step.key)
    if slots[step.key]?.isEmpty ?? false { slots[step.key] = nil }
    if let old = step.old { release(old) }
    let former = step.old?.service ?? 0
    if step.key.protocol == .udp, former != step.new?.service {
      outcome.endedFrontends.append(EndedFrontend(service: former, key: step.key))
    }
  }

  /// Whether the kernel's table has `step.new` although the last write failed: the batch before may have written it.
  ///
  /// If not, its slices are given back; but if the table cannot even be read they stay reserved, rather than be written
  /// under a reader.
  private func isWritten(_ step: Step) -> Bool {
    guard let new = step.new else { return false }
    do throws(BPFError) {
      if try maps.frontends.get(step.key.key)?.isIdentical(to: new) ?? false { return true }
      release(new)
    } catch {}
    return false
  }

  private func retain(_ frontend: frontend) {
    slices.retain(frontend)
    ids.retain(frontend.service)
  }

  private func release(_ frontend: frontend) {
    slices.release(frontend)
    ids.release(frontend.service)
  }

  // MARK: - Source ranges

  /// Returns the ids whose ranges could not be written: their frontends must not ask for them yet.
  private func addSourceRanges(_ outcome: inout Outcome) -> Set<UInt32> {
    var blocked: Set<UInt32> = []
    for id in pendingRanges.sorted() {
      do throws(BPFError) {
        try sourceRanges.add(ports[id]?.plan.sourceRanges ?? [], for: id)
      } catch {
        blocked.insert(id)
        outcome.problems.append(ServiceProblem(ports[id]?.plan.name.description ?? "service id \(id)", .map(error)))
      }
    }
    return blocked
  }

  private func removeSourceRanges(blocked: Set<UInt32>, _ outcome: inout Outcome) {
    // A frontend that is still to be written may ask for ranges that its successor does not.
    guard pending.isEmpty else { return }
    for id in pendingRanges.subtracting(blocked).sorted() {
      do throws(BPFError) {
        try sourceRanges.removeAll(but: ports[id]?.plan.sourceRanges ?? [], for: id)
        pendingRanges.remove(id)
      } catch {
        outcome.problems.append(ServiceProblem(ports[id]?.plan.name.description ?? "service id \(id)", .map(error)))
      }
    }
  }
}
