import FlyingFox
import Foundation
import Logging
import MartletDataPlane
import Synchronization

/// Tells load balancers and the kubelet how this node is, over HTTP: `/healthz` and `/livez` at one port, and each
/// service with a health check port at that.
///
/// Listeners follow the services. A port that is taken is tried again until it is free or nobody asks for it.
final class HealthServer: Sendable {
  /// Where the kubelet asks, as kube-proxy has it.
  static let defaultPort: UInt16 = 10_256

  private let port: UInt16
  private let logger: Logger
  private let state = Mutex(HealthState())
  private let listeners = Mutex<[UInt16: Task<Void, Never>]>([:])

  /// How long to wait before a port that is taken is tried again.
  private static let retryInterval = Duration.seconds(5)

  /// Answers at `port` about the node as soon as there is anything to say.
  init(port: UInt16, logger: Logger) {
    self.port = port
    self.logger = logger
    reconcile(wanted: [port])
  }

  deinit {
    for listener in listeners.withLock({ $0.values }) { listener.cancel() }
  }

  // MARK: - What the agent says

  /// A change has arrived and is about to be programmed.
  func noteChange() { state.withLock { $0.noteChange(at: .now) } }

  /// Everything is programmed, and this is how the services stand.
  func noteSync(_ dataPlane: BPFDataPlane) {
    let ports = state.withLock { state in
      dataPlane.describe(in: &state)
      state.noteSync(at: .now)
      return Set(state.services.keys)
    }
    if ports.contains(port) {
      logger.warning("health check port \(port): it is the node's own; give the service another, or move --health-port")
    }
    reconcile(wanted: ports.union([port]))
  }

  // MARK: - Listeners

  private func reconcile(wanted: Set<UInt16>) {
    listeners.withLock { listeners in
      for (port, listener) in listeners where !wanted.contains(port) {
        listener.cancel()
        listeners[port] = nil
      }
      for port in wanted where listeners[port] == nil {
        listeners[port] = Task { [weak self, logger] in
          await Self.listen(at: port, logger) { [weak self] path in self?.answer(at: port, path) }
        }
      }
    }
  }

  /// Serves until the task is cancelled.
  private static func listen(
    at port: UInt16, _ logger: Logger, _ answer: @escaping @Sendable (String) -> HTTPResponse?
  ) async {
    var isFirstFailure = true
    while !Task.isCancelled {
      let server = HTTPServer(
        address: .inet6(port: port), logger: .disabled,
        handler: ClosureHTTPHandler { answer($0.path) ?? HTTPResponse(statusCode: .notFound) })
      do {
        try await server.run()
      } catch {
        guard !Task.isCancelled else { return }
        if isFirstFailure {
          let why = error.localizedDescription
          logger.warning("health check port \(port): \(why); free it or choose another; tried every \(retryInterval)")
        }
        isFirstFailure = false
      }
      try? await Task.sleep(for: retryInterval)
    }
  }

  // MARK: - Answers

  private func answer(at port: UInt16, _ path: String) -> HTTPResponse? {
    let now = ContinuousClock.now
    let state = state.withLock { $0 }
    guard port == self.port else {
      return state.report(ofPort: port, at: now).map(Self.response)
    }
    switch path {
    case "/healthz": return Self.response(isHealthy: state.isNodeHealthy(at: now), state)
    case "/livez": return Self.response(isHealthy: state.isProxyHealthy(at: now), state)
    default: return nil
    }
  }

  private static func response(_ report: HealthState.ServiceReport) -> HTTPResponse {
    struct Body: Encodable {
      struct Name: Encodable {
        let namespace: String
        let name: String
      }
      let service: Name
      let localEndpoints: Int
      let serviceProxyHealthy: Bool
    }
    let body = Body(
      service: Body.Name(namespace: report.service.namespace, name: report.service.name),
      localEndpoints: report.localEndpoints, serviceProxyHealthy: report.isProxyHealthy)
    return response(
      isHealthy: report.isHealthy, body,
      headers: [HTTPHeader("X-Load-Balancing-Endpoint-Weight"): "\(report.localEndpoints)"])
  }

  private static func response(isHealthy: Bool, _ state: HealthState) -> HTTPResponse {
    struct Body: Encodable {
      let secondsSinceSync: Double?
      let nodeEligible: Bool
    }
    let age = state.lastSync.map { ContinuousClock.now - $0 }
    return response(
      isHealthy: isHealthy, Body(secondsSinceSync: age.map { $0 / .seconds(1) }, nodeEligible: state.isNodeEligible))
  }

  private static func response(
    isHealthy: Bool, _ body: some Encodable, headers: HTTPHeaders = [:]
  ) -> HTTPResponse {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    var headers = headers
    headers[.contentType] = "application/json"
    headers[HTTPHeader("X-Content-Type-Options")] = "nosniff"
    do {
      return HTTPResponse(
        statusCode: isHealthy ? .ok : .serviceUnavailable, headers: headers, body: try encoder.encode(body))
    } catch {
      return HTTPResponse(statusCode: .internalServerError)
    }
  }
}
