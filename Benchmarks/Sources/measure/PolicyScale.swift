import BPFTesting

/// What policies cost the first packet of a connection, and what changes of them cost the agent, by how many rules there
/// are.
struct PolicyScale {
  private static let sizes = [1, 10, 100, 1_000, 10_000]
  private static let rounds = 7
  private static let packetTarget = 1.2
  private static let judgementTarget = 2.0

  /// Measures and prints; returns whether the targets are met.
  static func measure() throws -> Bool {
    let isFlat = try measurePackets()
    print()
    return try PolicyChange.measure() && isFlat
  }

  private static func measurePackets() throws -> Bool {
    print(
      "The first packet of a connection from pod to pod, and the judgement in it; \(rounds) rounds of "
        + "\(PolicyNode.samples), in turns\n")
    let nodes = try sizes.map { try PolicyNode(rules: $0) }
    var costs: [Measured: FirstPacketCost] = [:]
    for round in 0..<rounds {
      for node in round.isMultiple(of: 2) ? nodes : nodes.reversed() {
        for match in RuleMatch.allCases {
          costs[Measured(rules: node.rules, match: match), default: FirstPacketCost()] += try node.sample(
            match, round: round)
        }
      }
    }
    return report(costs)
  }

  private struct Measured: Hashable {
    let rules: Int
    let match: RuleMatch
  }

  private static func report(_ costs: [Measured: FirstPacketCost]) -> Bool {
    func cost(_ rules: Int, _ match: RuleMatch) -> (packet: Double, judgement: Double) {
      let cost = costs[Measured(rules: rules, match: match)] ?? FirstPacketCost()
      return (Percentiles(cost.packet).p50, Percentiles(cost.judgement).p50)
    }
    print(
      "| Rules | "
        + RuleMatch.allCases.map { "match \($0.rawValue): packet | judgement" }.joined(separator: " | ") + " |")
    print("|--:" + String(repeating: "|--:|--:", count: RuleMatch.allCases.count) + "|")
    for rules in sizes {
      let cells = RuleMatch.allCases.map { cost(rules, $0) }.map { "\(Int($0.packet)) ns | \(Int($0.judgement)) ns" }
      print("| \(rules) | " + cells.joined(separator: " | ") + " |")
    }
    print("\n| 10,000 rules : 10 rules | | Target |\n|---|--:|--:|")
    var isMet = true
    for match in RuleMatch.allCases {
      let (many, few) = (cost(10_000, match), cost(10, match))
      isMet = row("Match \(match.rawValue), the whole packet", many.packet / few.packet, packetTarget) && isMet
      isMet = row("Match \(match.rawValue), the judgement", many.judgement / few.judgement, judgementTarget) && isMet
    }
    return isMet
  }

  private static func row(_ name: String, _ value: Double, _ target: Double) -> Bool {
    print(
      "| \(name) | \(Double(Int(value * 100)) / 100) | \u{2264} \(target)\(value <= target ? "" : ", missed") |")
    return value <= target
  }
}
