import Foundation
import MartletModel
import MartletNetworking
import MartletPolicy
import Testing

/// The example of Docs/Policy.md.
@Suite struct DocumentationTests {
  @Test func `The example's numbers are those of the tables, and stand in the text`() throws {
    let bench = PolicyBench()
    bench.set(
      .rules([
        PolicyRule(
          .allow, protocol: .tcp, source: EntityMatch(selector: .equals("app", "client")),
          destination: EntityMatch(ports: [.range(PortRange(80))])),
        PolicyRule(.deny, source: EntityMatch(prefixes: [IPPrefix(.init(10, 0, 0, 0), length: 8)])),
        PolicyRule(.allow, protocol: .tcp),
      ]))
    let package = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    let text = try String(contentsOf: package.appending(path: "Docs/Policy.md"), encoding: .utf8)
    let set = bench.table.setID(of: .server)
    let evaluator = PolicyEvaluator(bench.maps)
    let rows: [(source: IPAddress, protocol: L4Protocol, port: UInt16, decision: PolicyDecision, outcome: String)] = [
      (PolicyBench.client[0], .tcp, 80, .allow, "allowed by rule 0"),
      (PolicyBench.client[0], .tcp, 81, .deny, "denied by rule 1"),
      (PolicyBench.outside[0], .tcp, 81, .allow, "allowed by rule 2"),
      (PolicyBench.outside[0], .udp, 53, .deny, "denied by the end of the tier"),
    ]
    for row in rows {
      #expect(bench.ask(from: row.source, row.protocol, port: row.port) == row.decision)
      let packet = PolicyPacket(
        from: row.source, to: PolicyBench.server[0], row.protocol, destinationPort: row.port)
      let dimensions = try evaluator.dimensions(of: set, on: packet)
      #expect(dimensions.map(\.dimension) == ["sourceIdentity", "sourcePrefix", "port"])
      let common = dimensions.reduce(Set(evaluator.liveBits(of: set, on: packet))) { $0.intersection($1.bits) }
      let classes = dimensions.map { "\($0.classNumber)" }.joined(separator: ", ")
      let bits = common.sorted().map { "\($0)" }.joined(separator: ", ")
      let line = "| \(row.source) to \(row.protocol) \(row.port) | \(classes) | \(bits) | \(row.outcome) |"
      let stands = text.contains(line)
      #expect(stands, "\(line)")
      for dimension in dimensions {
        let bits = dimension.bits.map { "\($0)" }.joined(separator: ", ")
        let stands = text.split(separator: "\n").contains {
          $0.contains("| \(dimension.classNumber) | ") && $0.hasSuffix(" | \(bits) |")
        }
        #expect(stands, "\(dimension)")
      }
    }
  }
}
