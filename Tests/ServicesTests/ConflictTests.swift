import MartletModel
import MartletNetworking
import Testing

@testable import MartletServices

/// Two services that claim the same address and port.
@Suite struct ConflictTests {
  private func service(_ name: String, _ clusterIP: IPAddress, _ edit: (inout Service) -> Void = { _ in }) -> Service {
    .web(name) {
      $0.clusterIPs = [clusterIP]
      edit(&$0)
    }
  }

  private func slices(_ bench: Bench) {
    bench.apply(
      .set(
        .web([.ready("10.0.0.1")], name: "a-1", service: "a"), .web([.ready("10.0.0.2")], name: "b-1", service: "b")))
  }

  @Test(arguments: [true, false])
  func `Of two equal claims the first name has it, and the other gets it back`(aFirst: Bool) throws {
    let bench = try Bench()
    slices(bench)
    let nodePort: (inout Service) -> Void = {
      $0.kind = .nodePort
      $0.ports[0].nodePort = 30_080
    }
    let (a, b) = (service("a", "10.96.0.1", nodePort), service("b", "10.96.0.2", nodePort))
    for service in aFirst ? [a, b] : [b, a] { bench.apply(.set(service)) }
    #expect(try bench.ask("192.0.2.1", 30_080) == ["10.0.0.1:8080"])
    bench.apply(.remove(a))
    #expect(try bench.ask("192.0.2.1", 30_080) == ["10.0.0.2:8080"])
    bench.apply(.set(a))
    #expect(try bench.ask("192.0.2.1", 30_080) == ["10.0.0.1:8080"])
    bench.apply(.remove(b))
    #expect(try bench.ask("192.0.2.1", 30_080) == ["10.0.0.1:8080"])
  }

  @Test func `A conflict is reported with both names`() throws {
    let bench = try Bench()
    bench.apply(.set(service("a", "10.96.0.1")))
    let outcome = bench.apply(.set(service("b", "10.96.0.2") { $0.externalIPs = ["10.96.0.1"] }))
    #expect(
      outcome.problems.map(\.description) == [
        "default/b:http/TCP: 10.96.0.1:80/TCP belongs to default/a:http/TCP: "
          + "remove the address or port from one of them"
      ])
  }

  @Test func `A cluster IP comes before an external IP, whatever the names`() throws {
    let bench = try Bench()
    slices(bench)
    bench.apply(.set(service("a", "10.96.0.1") { $0.externalIPs = ["10.96.0.2"] }), .set(service("b", "10.96.0.2")))
    #expect(try bench.ask("10.96.0.2") == ["10.0.0.2:8080"])
    bench.apply(.remove(service("b", "10.96.0.2")))
    #expect(try bench.ask("10.96.0.2") == ["10.0.0.1:8080"])
  }

  @Test func `An external IP that is a node's own comes before node ports, and leaves other ports alone`() throws {
    let bench = try Bench()
    slices(bench)
    bench.apply(
      .set(
        service("a", "10.96.0.1") {
          $0.kind = .nodePort
          $0.ports[0].nodePort = 30_080
        }),
      .set(
        service("b", "10.96.0.2") {
          $0.externalIPs = ["192.0.2.1"]
          $0.ports[0].port = 30_080
        }))
    #expect(try bench.ask("192.0.2.1", 30_080) == ["10.0.0.2:8080"])
    #expect(try bench.ask("192.0.2.2", 30_080) == ["10.0.0.1:8080"])
    #expect(try bench.ask("192.0.2.1", 22) == ["not a service"])
  }

  @Test func `The same number serves TCP and UDP, and one address several services`() throws {
    let bench = try Bench()
    slices(bench)
    bench.apply(
      .set(service("a", "10.96.0.1") { $0.externalIPs = ["203.0.113.1"] }),
      .set(
        service("b", "10.96.0.2") {
          $0.externalIPs = ["203.0.113.1"]
          $0.ports[0].port = 443
        }),
      .set(
        service("c", "10.96.0.3") {
          $0.externalIPs = ["203.0.113.1"]
          $0.ports[0].protocol = .udp
        }))
    #expect(try bench.ask("203.0.113.1", 80) == ["10.0.0.1:8080"])
    #expect(try bench.ask("203.0.113.1", 443) == ["10.0.0.2:8080"])
    #expect(try bench.ask("203.0.113.1", 80, .udp) == ["refused"])
  }

  @Test func `A second port of the same name is reported and ignored`() throws {
    let bench = try Bench()
    slices(bench)
    let outcome = bench.apply(.set(service("a", "10.96.0.1") { $0.ports.append(.init(name: "http", port: 81)) }))
    #expect(outcome.problems.map(\.reason) == [.duplicatePort])
    #expect(try bench.ask("10.96.0.1", 80) == ["10.0.0.1:8080"])
    #expect(try bench.ask("10.96.0.1", 81) == ["refused"])
  }
}
