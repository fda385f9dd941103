import MartletModel
import MartletNetworking
import Testing

@testable import MartletServices

/// Prints what updates cost. The limits are those of a release build:
/// `swift test -c release -Xswiftc -enable-testing --filter ServicePerformanceTests`
@Suite(.serialized) struct ServicePerformanceTests {
  private func changes(services: Int, endpoints: Int) -> [StateChange] {
    (0..<services).flatMap { index -> [StateChange] in
      let name = NamespacedName(namespace: "namespace-\(index % 100)", name: "service-\(index)")
      let service = Service(
        name: name, clusterIPs: [IPAddress(ipv4: 0x0a60_0000 + UInt32(index))], ports: [.init(name: "http", port: 80)])
      let slice = EndpointSlice(
        name: .init(namespace: name.namespace, name: name.name + "-x7k2p"), serviceName: name.name, family: .ipv4,
        endpoints: (0..<endpoints).map { endpoint(index * endpoints + $0) }, ports: [.init(name: "http", port: 8080)])
      return [.set(.service(service)), .set(.endpointSlice(slice))]
    }
  }

  private func endpoint(_ index: Int) -> EndpointSlice.Endpoint {
    .init(address: IPAddress(ipv4: 0x0a00_0000 + UInt32(index)), node: "node-\(index % 50)")
  }

  private static var isDebug: Bool {
    var isDebug = false
    assert(
      {
        isDebug = true
        return true
      }())
    return isDebug
  }

  @Test func `Ten thousand services of ten endpoints from nothing, and a change among them`() throws {
    let small = try measure(services: Self.isDebug ? 100 : 1000)
    let large = try measure(services: Self.isDebug ? 1000 : 10_000)
    guard !Self.isDebug else { return }
    #expect(large.build < .seconds(1))
    #expect(large.change < .milliseconds(1))
    // Ten times the services, the same cost but for caches.
    #expect(large.change < small.change * 5)
  }

  private func measure(services: Int) throws -> (build: Duration, change: Duration) {
    let initial = changes(services: services, endpoints: 10)
    let tables = MemoryTables(backends: 262_144)
    let configuration = Configuration(nodeName: "node-7", serviceCIDRs: ["10.96.0.0/12"])
    let clock = ContinuousClock()
    let table = try ServiceTable(maps: tables.maps, configuration: configuration)
    let build = clock.measure { #expect(table.apply(initial).problems.isEmpty) }
    var samples: [Duration] = []
    for round in 0..<201 {
      guard case .set(.endpointSlice(var slice)) = initial[(round * 97 % services) * 2 + 1] else { continue }
      slice.endpoints[round % 10].isReady.toggle()
      samples.append(clock.measure { _ = table.apply([.set(.endpointSlice(slice))]) })
      _ = table.reclaim(now: clock.now + .seconds(2 * round))
    }
    samples.sort()
    let change = samples[samples.count / 2]
    print(
      "\(services) services of 10 endpoints: \(build) from nothing; one endpoint changes: \(change) median, "
        + "\(samples[samples.count * 99 / 100]) p99\(Self.isDebug ? " (debug build)" : "")")
    return (build, change)
  }
}
