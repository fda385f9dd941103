import BPF
import CBPF

/// Map `rule_names`, written in batches: verdicts do not depend on it.
final class RuleNameTable {
  private let map: any MapStorage<UInt32, rule_name>
  private let report: UpdateReport
  private var wanted: [UInt32: rule_name?] = [:]

  init(_ map: any MapStorage<UInt32, rule_name>, report: UpdateReport) {
    self.map = map
    self.report = report
  }

  func set(_ rule: CompiledRule) { wanted[rule.id] = .some(rule.name.entry(action: rule.action)) }

  func remove(_ rule: CompiledRule) { wanted[rule.id] = .some(nil) }

  /// Writes what has been asked for. What the map refuses is tried again by the next call.
  func flush() {
    guard !wanted.isEmpty else { return }
    let removed = wanted.filter { $0.value == nil }.map(\.key)
    let set = wanted.compactMapValues(\.self)
    do throws(BPFError) {
      if !removed.isEmpty { try map.remove(keys: removed) }
      for id in removed { wanted[id] = nil }
      if !set.isEmpty { try map.update(keys: Array(set.keys), values: Array(set.values), mode: .set) }
      wanted = [:]
    } catch {
      report.add(PolicyProblem("names of \(set.count) rules", .map(error)))
    }
  }
}
