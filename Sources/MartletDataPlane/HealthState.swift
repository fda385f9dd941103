import MartletModel
import MartletServices

/// What this node tells load balancers and the kubelet about its health: which services have endpoints here, whether
/// updates reach the tables, and whether the node is to stay.
///
/// A value without any server: note changes and syncs as they happen, and ask for reports.
///
/// ```swift
/// health.noteChange(at: .now)
/// _ = dataPlane.apply(changes)
/// dataPlane.describe(in: &health)
/// health.noteSync(at: .now)
/// let report = health.report(ofPort: 30_500, at: .now)
/// ```
public struct HealthState: Sendable {
  /// For how long a change may wait before the proxy counts as unhealthy.
  public let patience: Duration
  /// When the state was last programmed; `nil`: never yet.
  public private(set) var lastSync: ContinuousClock.Instant?
  /// Whether the node takes part: it is not being deleted, by its own mark or the autoscaler's.
  public private(set) var isNodeEligible = true
  /// The services that load balancers ask about, by the port that they ask at.
  public private(set) var services: [UInt16: ServiceHealth] = [:]

  /// The oldest change that waits to be programmed.
  private var pending: ContinuousClock.Instant?

  /// The taint by which the cluster autoscaler marks a node that it is about to delete.
  public static let toBeDeletedTaint = "ToBeDeletedByClusterAutoscaler"

  /// A node that has not programmed anything yet.
  public init(patience: Duration = .seconds(60)) { self.patience = patience }

  /// How many endpoints a service has here.
  public struct ServiceHealth: Hashable, Sendable {
    /// The service.
    public let service: NamespacedName
    /// The addresses of ready endpoints on this node. Terminating ones do not count.
    public let localEndpoints: Int
  }

  /// The answer to a load balancer.
  public struct ServiceReport: Hashable, Sendable {
    /// The service.
    public let service: NamespacedName
    /// The addresses of ready endpoints on this node.
    public let localEndpoints: Int
    /// Whether updates reach the tables.
    public let isProxyHealthy: Bool

    /// Whether this node is to get connections to the service.
    public var isHealthy: Bool { isProxyHealthy && localEndpoints > 0 }
  }

  // MARK: - Events

  /// A change has arrived and waits to be programmed.
  public mutating func noteChange(at now: ContinuousClock.Instant) { pending = pending ?? now }

  /// Everything that had arrived is programmed.
  public mutating func noteSync(at now: ContinuousClock.Instant) {
    pending = nil
    lastSync = now
  }

  /// Takes over what a data plane has been given.
  mutating func update(_ state: ClusterState, _ table: ServiceTable) {
    let node = state.nodes[table.configuration.nodeName]
    isNodeEligible =
      node.map { node in !node.isBeingDeleted && !node.taints.contains { $0.key == Self.toBeDeletedTaint } } ?? true
    services = [:]
    for service in state.services.values.sorted(by: { $0.name < $1.name }) {
      // Of two that claim a port, the first by name has it, whatever the order of events.
      guard let port = service.healthCheckPort(proxyName: table.configuration.proxyName), services[port] == nil else {
        continue
      }
      services[port] = ServiceHealth(
        service: service.name, localEndpoints: table.readyLocalEndpoints(of: service.name))
    }
  }

  // MARK: - Reports

  /// Whether updates reach the tables: there has been one, and none waits for longer than ``patience``.
  public func isProxyHealthy(at now: ContinuousClock.Instant) -> Bool {
    lastSync != nil && pending.map { now - $0 <= patience } ?? true
  }

  /// The node's health for load balancers, `/healthz`: the proxy's, unless the node is on its way out.
  public func isNodeHealthy(at now: ContinuousClock.Instant) -> Bool { isProxyHealthy(at: now) && isNodeEligible }

  /// The answer at a health check port; `nil` if it is no service's.
  public func report(ofPort port: UInt16, at now: ContinuousClock.Instant) -> ServiceReport? {
    services[port].map {
      ServiceReport(
        service: $0.service, localEndpoints: $0.localEndpoints, isProxyHealthy: isProxyHealthy(at: now))
    }
  }
}

extension Service {
  /// The port at which load balancers ask for the service's health, if it is one that they ask for: traffic from outside
  /// stays on the node that it comes to.
  fileprivate func healthCheckPort(proxyName: String?) -> UInt16? {
    kind == .loadBalancer && externalTrafficPolicy == .local && isProxied(by: proxyName) ? healthCheckNodePort : nil
  }
}

extension InMemoryDataPlane {
  /// Enters in `health` what the state says of this node and its services.
  public func describe(in health: inout HealthState) { health.update(state, services) }
}

extension BPFDataPlane {
  /// Enters in `health` what the state says of this node and its services.
  public func describe(in health: inout HealthState) { health.update(state, services) }
}
