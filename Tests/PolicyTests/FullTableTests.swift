import BPF
import CBPF
import MartletModel
import MartletNetworking
import MartletPolicy
import Testing

/// Tables without room: what is concerned is denied everything and reported, and everything else goes on.
@Suite struct FullTableTests {
  private func maps(edit: (inout PolicyMaps.Capacity) -> Void) -> PolicyMaps {
    var capacity = PolicyMaps.Capacity.small
    edit(&capacity)
    return .inMemory(capacity)
  }

  /// Rules of which no two have a vector in common.
  private func rules(_ count: Int) -> [PolicyRule] {
    (0..<count).map {
      PolicyRule(.allow, protocol: .tcp, source: EntityMatch(prefixes: [IPPrefix(.init(10, 9, UInt8($0), 0))]))
    }
  }

  @Test func `Rules without room for their vectors close their endpoint, and no other`() {
    let bench = PolicyBench(maps { $0.words = 2_048 })
    bench.set(.rules(of: "small", [PolicyRule(.allow)], subject: .equals("app", "client"), direction: .egress))
    #expect(bench.outcome.problems.isEmpty)
    bench.set(.rules(of: "large", rules(200) + [PolicyRule(.allow)]))
    #expect(bench.outcome.problems.map(\.subject) == ["workload a/server, ingress"])
    #expect(bench.verdict(.server) == PolicyVerdict(.deny))
    #expect(bench.ask(.client) == .allow)
    bench.remove(Resource.key("large"))
    bench.settle()
    #expect(bench.outcome.problems.isEmpty)
    #expect(bench.ask() == .allow)
  }

  @Test func `Edits faster than what they replace may be used again find room all the same`() {
    let bench = PolicyBench(
      maps {
        $0.headers = 5
        $0.words = 2_048
      })
    for index in 0..<40 {
      bench.set(.rules([PolicyRule(.allow, destination: EntityMatch(ports: [.range(PortRange(UInt16(80 + index)))]))]))
      #expect(bench.outcome.problems.isEmpty)
      #expect(bench.ask(port: UInt16(80 + index)) == .allow)
      #expect(bench.ask(port: UInt16(79 + index)) == .deny)
    }
  }

  @Test func `More rules than a set can have are refused`() {
    let bench = PolicyBench(maps { $0.words = 1 << 20 })
    let rule = PolicyRule(.allow, protocol: .tcp)
    bench.set(.rules(Array(repeating: rule, count: 16_385)))
    #expect(bench.outcome.problems.map(\.reason).contains(.tooManyRules(16_387)))
    #expect(bench.verdict(.server) == PolicyVerdict(.deny))
    // Nobody else waits for what cannot be done.
    let duration = ContinuousClock().measure {
      for port in UInt16(1)...20 {
        bench.set(
          .rules(
            of: "q", [PolicyRule(.allow, destination: EntityMatch(ports: [.range(PortRange(port))]))],
            subject: .equals("app", "client"), direction: .egress))
      }
    }
    #expect(duration < .seconds(2))
  }

  @Test func `Without a free set an endpoint is denied everything, and gets one later`() {
    let bench = PolicyBench(maps { $0.sets = 5 })
    bench.set(.rules([PolicyRule(.allow)]), .rules(of: "q", [], subject: .equals("app", "client"), direction: .egress))
    #expect(!bench.outcome.problems.isEmpty)
    let denied = [PolicyPoint.server, .client].filter { bench.verdict($0) == PolicyVerdict(.deny) }
    #expect(!denied.isEmpty)
    bench.remove(Resource.key("q"))
    bench.settle()
    #expect(bench.ask() == .allow && bench.ask(.client) == .allow)
  }

  @Test func `Whoever depends on an address that the map refuses is closed, and no other`() throws {
    let bench = PolicyBench(maps { $0.identities = 5 })
    bench.set(
      .rules([PolicyRule(.deny, source: EntityMatch(selector: .equals("app", "third"))), PolicyRule(.allow)]))
    #expect(bench.ask() == .allow)
    let third = Workload.named("third", [IPAddress(10, 0, 0, 3), IPAddress(10, 0, 0, 4)])
    bench.set(.workload(third))
    #expect(bench.outcome.problems.count == 1)
    // To let everybody in but the third would let the third in.
    #expect(bench.verdict(.server) == PolicyVerdict(.deny))
    #expect(bench.ask(.client) == .allow)
    bench.remove(.workload(third.name))
    bench.settle()
    #expect(bench.outcome.problems.isEmpty)
    #expect(bench.ask() == .allow)
  }

  @Test func `Ranges without room close whoever asks for them`() {
    let bench = PolicyBench(maps { $0.prefixes = 3 })
    bench.set(.rules(rules(4)))
    #expect(bench.outcome.problems.count == 2)
    #expect(bench.verdict(.server) == PolicyVerdict(.deny))
    bench.set(.rules(rules(1)))
    bench.settle()
    #expect(bench.outcome.problems.isEmpty)
    #expect(bench.ask(from: IPAddress(10, 9, 0, 0)) == .allow)
  }
}

extension PolicyBench {
  /// What the tables say, whatever the objects do.
  func verdict(_ point: PolicyPoint) -> PolicyVerdict<UInt32>? {
    let packet = PolicyPacket(from: Self.client[0], to: Self.server[0], .tcp, destinationPort: 80)
    return try? PolicyEvaluator(maps).verdict(of: table.setID(of: point), on: packet)
  }
}
