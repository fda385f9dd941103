import MartletDataPlane
import MartletModel
import MartletNetworking
import Testing

/// What load balancers and the kubelet are told, and when.
@Suite struct HealthStateTests {
  private static let port = UInt16(30_500)

  private func web(_ change: (inout Service) -> Void = { _ in }) -> Resource {
    var service = Scene.service()
    service.kind = .loadBalancer
    service.externalTrafficPolicy = .local
    service.healthCheckNodePort = Self.port
    change(&service)
    return .service(service)
  }

  private func dataPlane(_ resources: [Resource]) throws -> InMemoryDataPlane {
    let dataPlane = try InMemoryDataPlane(InMemoryDataPlane.Options(configuration: Scene.configuration))
    #expect(dataPlane.start(with: Scene.cluster.with(resources)) == [])
    return dataPlane
  }

  private func health(_ dataPlane: InMemoryDataPlane) -> HealthState {
    var health = HealthState()
    dataPlane.describe(in: &health)
    health.noteSync(at: .now)
    return health
  }

  private func health(_ resources: [Resource]) throws -> HealthState { health(try dataPlane(resources)) }

  @Test func localEndpointsDecide() throws {
    for (parties, count) in [([Scene.Party.a, .b, .c], 2), ([.c], 0), ([], 0)] {
      let report = try #require(try health([web()] + Scene.slices(parties)).report(ofPort: Self.port, at: .now))
      #expect(report.service == Scene.web)
      #expect(report.localEndpoints == count)
      #expect(report.isHealthy == (count > 0))
    }
  }

  @Test func terminatingEndpointsDoNotCount() throws {
    let slices = Scene.slices([.a, .b]).map { resource in
      guard case .endpointSlice(var slice) = resource else { return resource }
      slice.endpoints[0].isReady = false
      slice.endpoints[0].isTerminating = true
      return .endpointSlice(slice)
    }
    #expect(try health([web()] + slices).report(ofPort: Self.port, at: .now)?.localEndpoints == 1)
  }

  @Test func portFollowsTheService() throws {
    let dataPlane = try dataPlane([web()] + Scene.slices([.a]))
    #expect(Array(health(dataPlane).services.keys) == [Self.port])
    _ = dataPlane.apply([.set(web { $0.healthCheckNodePort = 30_501 })])
    #expect(Array(health(dataPlane).services.keys) == [30_501])
    for change: (inout Service) -> Void in [
      { $0.externalTrafficPolicy = .cluster }, { $0.kind = .nodePort }, { $0.proxyName = "other" },
      { $0.healthCheckNodePort = nil },
    ] {
      _ = dataPlane.apply([.set(web())])
      #expect(health(dataPlane).services.count == 1)
      _ = dataPlane.apply([.set(web(change))])
      #expect(health(dataPlane).services.isEmpty)
    }
  }

  @Test func proxyIsUnhealthyUntilItHasSyncedAndWhenItDoesNot() throws {
    let start = ContinuousClock.now
    var health = HealthState(patience: .seconds(60))
    #expect(!health.isProxyHealthy(at: start))
    health.noteSync(at: start)
    // Nothing to do is no illness.
    #expect(health.isProxyHealthy(at: start + .seconds(10_000)))
    health.noteChange(at: start + .seconds(100))
    health.noteChange(at: start + .seconds(150))
    #expect(health.isProxyHealthy(at: start + .seconds(160)))
    #expect(!health.isProxyHealthy(at: start + .seconds(161)))
    #expect(!health.isNodeHealthy(at: start + .seconds(161)))
    health.noteSync(at: start + .seconds(162))
    #expect(health.isNodeHealthy(at: start + .seconds(163)))
  }

  /// A draining node turns load balancers away and is not restarted.
  @Test func nodeOnItsWayOut() throws {
    for change: (inout Node) -> Void in [
      { $0.isBeingDeleted = true },
      { $0.taints = [Node.Taint(key: "ToBeDeletedByClusterAutoscaler", value: "1", effect: "NoSchedule")] },
    ] {
      var node = try #require(Scene.cluster.nodes[Scene.here])
      change(&node)
      let health = try health([web(), .node(node)] + Scene.slices([.a]))
      #expect(!health.isNodeHealthy(at: .now))
      #expect(health.isProxyHealthy(at: .now))
      #expect(health.report(ofPort: Self.port, at: .now)?.isHealthy == true)
    }
    var other = try #require(Scene.cluster.nodes[Scene.there])
    other.isBeingDeleted = true
    #expect(try health([.node(other)]).isNodeHealthy(at: .now))
  }
}
