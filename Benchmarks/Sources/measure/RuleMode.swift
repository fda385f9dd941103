import BPFTesting
import KubeProxyRules
import MartletModel
import MartletNetworking

/// How kube-proxy programs services.
enum RuleMode: String, CaseIterable, CustomStringConvertible {
  case iptables
  case nftables

  var description: String { "kube-proxy \(rawValue)" }

  /// Programs the services of ``ServiceScale`` in a namespace of its own, then changes an endpoint so many times.
  ///
  /// kube-proxy's own work, to find out what to write, is not in it.
  func measure(changes: Int) throws -> (start: Cost, change: Percentiles) {
    let namespace = try NetworkNamespace()
    let cluster = ScaleCluster(services: ServiceScale.ruleServices, endpoints: ServiceScale.endpoints)
    var state = cluster.state
    var rules = text(state)
    let start = try load(rules, in: namespace)
    var samples: [Double] = []
    for round in 0..<changes {
      state.apply(.set(cluster.change(round)))
      let next = text(state)
      samples.append(try load(difference(rules, next), in: namespace).processorSeconds * 1e6)
      rules = next
    }
    return (start, Percentiles(samples))
  }

  private func text(_ state: ClusterState) -> String {
    let rules = KubeProxyRules(state, node: ScaleCluster.node, .ipv4)
    return self == .iptables ? rules.iptables : rules.nftables
  }

  private func load(_ input: String, in namespace: NetworkNamespace) throws -> Cost {
    var command = Command(self == .iptables ? ["iptables-restore", "--noflush"] : ["nft", "-f", "-"])
    command.input = input
    command.timeout = .seconds(60)
    let loading = command
    return try namespace.run {
      try Cost.of {
        let result = try loading.run()
        guard result.status == .exited(0) else { throw Refused(status: result.status, errors: result.errors) }
      }
    }
  }

  private struct Refused: Error, CustomStringConvertible {
    let status: Command.Result.Status
    let errors: String
    var description: String { "\(status) \(errors.split(separator: "\n").first ?? "")" }
  }

  /// What kube-proxy writes when one endpoint has changed, not the whole.
  private func difference(_ old: String, _ new: String) -> String {
    let (before, after) = (Lines(old), Lines(new))
    return self == .iptables ? after.iptables(since: before) : after.nftables(since: before)
  }

  private struct Lines {
    let all: [Substring]
    private let known: Set<Substring>

    init(_ text: String) {
      all = text.split(separator: "\n")
      known = Set(all)
    }

    private func missing(in other: Lines) -> [Substring] { all.filter { !other.known.contains($0) } }

    /// A partial synchronisation: every rule of `KUBE-SERVICES` and the other common chains, and all chains of the
    /// service that has changed.
    func iptables(since old: Lines) -> String {
      let services = Set((missing(in: old) + old.missing(in: self)).compactMap(Self.chainName).filter(Self.isOfService))
      let touched = services.union(
        all.filter { services.contains(Self.chainName($0) ?? "") }.compactMap { line in
          line.split(separator: " ").last.flatMap { $0.hasPrefix("KUBE-SEP-") ? $0 : nil }
        })
      let removed = old.missing(in: self).filter { $0.hasPrefix(":") }.compactMap(Self.chainName)
      var lines: [Substring] = []
      for line in all {
        guard let chain = Self.chainName(line) else {
          if line == "COMMIT", lines.contains("*nat") {
            lines += removed.map { ":\($0) - [0:0]" } + removed.map { "-X \($0)" }
          }
          lines.append(line)
          continue
        }
        if chain.hasPrefix("KUBE-"), !Self.isOfService(chain) || touched.contains(chain) { lines.append(line) }
      }
      return lines.joined(separator: "\n") + "\n"
    }

    private static func chainName(_ line: Substring) -> Substring? {
      if line.hasPrefix(":") { return line.dropFirst().prefix { $0 != " " } }
      return line.hasPrefix("-A ") ? line.dropFirst(3).prefix { $0 != " " } : nil
    }

    private static func isOfService(_ chain: Substring) -> Bool {
      chain.hasPrefix("KUBE-SVC-") || chain.hasPrefix("KUBE-SEP-")
    }

    /// One transaction: the chains that have changed are emptied and filled anew, what is new comes first, what is gone
    /// goes last.
    func nftables(since old: Lines) -> String {
      let changed = missing(in: old).compactMap(Self.chain)
      let kept = Set(changed.map(\.name))
      let removed = old.missing(in: self).compactMap(Self.chain).map(\.name).filter { !kept.contains($0) }
      let table = "ip kube-proxy"
      let emptied = changed.flatMap { ["add chain \(table) \($0.name)", "flush chain \(table) \($0.name)"] }
      let filled = changed.flatMap { chain in chain.rules.map { "add rule \(table) \(chain.name) \($0)" } }
      return (emptied + filled + removed.map { "delete chain \(table) \($0)" }).joined(separator: "\n") + "\n"
    }

    private static func chain(_ line: Substring) -> (name: Substring, rules: [Substring])? {
      let text = line.drop { $0 == " " }
      guard text.hasPrefix("chain "), let open = text.firstIndex(of: "{"), let end = text.lastIndex(of: "}") else {
        return nil
      }
      let name = text[..<open].dropFirst(6).dropLast()
      let body = text[text.index(after: open)..<end]
      // A verdict map holds no semicolon, so that rules end at each.
      let rules = body.split(separator: ";").map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }
      return (name, rules)
    }
  }
}
