import ArgumentParser
import MartletDataPlane

/// `martlet policy list` and `martlet policy show`
struct PolicyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "policy", abstract: "Look at policies as this node enforces them.",
    subcommands: [List.self, Show.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Every policy that applies to something on this node, in order of evaluation.")

    @OptionGroup var data: PinOptions
    @Option(help: "table or json.") var output = OutputFormat.table

    func run() throws {
      let policies = try PolicyInspection(data.openPolicyMaps()).policies()
      guard output == .table else { return try printJSON(policies) }
      var table = TextTable("TIER", "KIND", "POLICY", "SETS", "APPLIES TO")
      for policy in policies {
        table.append(
          policy.tier, policy.kind, policy.name, policy.sets.map(String.init).joined(separator: ","),
          policy.endpoints.joined(separator: ", "))
      }
      print(table.text)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "The rules that endpoints are judged by, in order, with their ids and actions.",
      discussion: "Of one policy wherever it applies, or all of one pod, host endpoint, or node.")

    @Argument(help: "The policy: NAMESPACE/NAME, or NAME of one for the whole cluster.") var name: String?
    @Option(help: "The endpoint: NAMESPACE/POD, or the name of a host endpoint.") var endpoint: String?
    @OptionGroup var data: PinOptions
    @Option(help: "table or json.") var output = OutputFormat.table

    func run() throws {
      let inspection = PolicyInspection(try data.openPolicyMaps())
      var sets = try inspection.sets { isWanted($0) }
      if let endpoint, sets.isEmpty {
        throw CommandFailure("this node has no pod or host endpoint \(endpoint): martlet policy show lists all")
      }
      if let name {
        let concerned = Set(try inspection.policies().filter { $0.name == name }.flatMap(\.sets))
        guard !concerned.isEmpty else {
          throw CommandFailure("policy \(name) applies to nothing on this node: martlet policy list shows which do")
        }
        sets.removeAll { !concerned.contains($0.set) }
        if let endpoint, sets.isEmpty {
          throw CommandFailure(
            "policy \(name) does not apply to \(endpoint): martlet policy list shows to whom it does")
        }
        sets = sets.map { set in
          var set = set
          set.rules.removeAll { $0.policy.split(separator: " ", maxSplits: 1).last.map(String.init) != name }
          return set
        }
      }
      guard output == .table else { return try printJSON(sets) }
      printTable(sets)
    }

    private func isWanted(_ subject: String) -> Bool {
      endpoint.map { subject == "pod \($0)" || subject == "host endpoint \($0)" } ?? true
    }

    private func printTable(_ sets: [PolicySetReading]) {
      var table = TextTable("ENDPOINT", "STAGE", "SET", "TIER", "POLICY", "RULE", "ID", "ACTION")
      for set in sets {
        if set.rules.isEmpty { table.append(set.endpoint, set.stage, "\(set.set)", "", "(no rules)", "", "", "") }
        for rule in set.rules {
          let isEnd = rule.policy.isEmpty
          table.append(
            set.endpoint, set.stage, "\(set.set)", rule.tier, isEnd ? "(end of tier)" : rule.policy,
            isEnd ? "" : "\(rule.direction) \(rule.index)", "\(rule.id)", rule.action)
        }
      }
      print(table.text)
    }
  }
}
