import ArgumentParser
import Dispatch
import Foundation
import Logging
import MartletDataPlane
import MartletKubernetes
import MartletModel
import Netlink

/// Drives the data plane from the manifests and from what changes in the node's network.
///
/// An actor, since the data plane wants its calls one at a time.
actor Agent {
  private let dataPlane: BPFDataPlane
  private let manifests: ManifestFolder
  private let monitor: NetlinkMonitor
  private let health: HealthServer?
  private let logger: Logger
  private var problems: ProblemLog
  private var hasStarted = false
  private var hasNode = true

  /// An agent that answers at `healthPort`, if that is not 0, how the node and its services are.
  init(
    _ options: BPFDataPlane.Options, manifests: ManifestFolder, healthPort: UInt16, logger: Logger
  ) throws {
    self.manifests = manifests
    self.logger = logger
    problems = ProblemLog(logger)
    // Later it may come and go, and what was read stays; at the start nothing would be read at all.
    do {
      _ = try FileManager.default.contentsOfDirectory(atPath: manifests.path)
    } catch {
      throw CommandFailure(
        "cannot read \(manifests.path) as a folder: name the one with the manifests by --manifests")
    }
    // Before the data plane looks at links and routes, so that no change falls between.
    monitor = try NetlinkMonitor([.links, .addresses, .routes])
    dataPlane = try BPFDataPlane(options)
    health = healthPort == 0 ? nil : HealthServer(port: healthPort, logger: logger)
  }

  /// Runs until the process is told to end; what is in the kernel stays.
  func run() async throws {
    // Whoever waits for "ready" may close the pipe after it.
    signal(SIGPIPE, SIG_IGN)
    let signals = terminationSignals()
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { for await update in self.manifests.changes { await self.apply(update) } }
      group.addTask { try await self.followNetwork() }
      group.addTask {
        while !Task.isCancelled {
          try await Task.sleep(for: .seconds(1))
          await self.reclaim()
        }
      }
      group.addTask { for await _ in signals { return } }
      // The first to end ends all: a signal, or a failure.
      try await group.next()
      group.cancelAll()
    }
    logger.info("ends; packets are forwarded as before")
  }

  private func apply(_ update: ManifestUpdate) {
    problems.report(update.problems)
    checkNode(in: update.state)
    health?.noteChange()
    problems.report(hasStarted ? dataPlane.apply(update.changes) : dataPlane.start(with: update.state))
    health?.noteSync(dataPlane)
    announce(hasStarted ? "synced" : "ready")
    hasStarted = true
  }

  /// Said once, until it comes and goes again.
  private func checkNode(in state: ClusterState) {
    let name = dataPlane.options.configuration.nodeName
    let isThere = state.nodes[name] != nil
    if hasNode, !isThere {
      logger.warning(
        """
        no manifest has a Node named \(name): until one does, this node has no node ports, no pod ranges and no tunnel; \
        correct --node, or add it
        """)
    }
    hasNode = isThere
  }

  /// A burst of events, as when a pod is plugged in, costs one look at the network.
  private func followNetwork() async throws {
    for try await event in monitor {
      logger.debug("network: \(event)")
      try await Task.sleep(for: .milliseconds(20))
      while try monitor.poll() != nil {}
      if hasStarted { problems.report(dataPlane.networkChanged()) }
    }
  }

  private func reclaim() {
    if hasStarted { problems.report(dataPlane.reclaim()) }
  }

  /// Standard output is for whoever waits for us; it may be a pipe.
  private func announce(_ word: String) {
    print(word)
    fflush(nil)
  }
}

/// One element for each SIGTERM or SIGINT, which then no longer end the process by themselves.
private func terminationSignals() -> AsyncStream<Int32> {
  AsyncStream { continuation in
    // SAFETY: dispatch sources may be cancelled from any thread; they are not touched otherwise.
    nonisolated(unsafe) let sources = [SIGTERM, SIGINT].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { @Sendable in _ = continuation.yield(number) }
      source.resume()
      return source
    }
    continuation.onTermination = { @Sendable _ in for source in sources { source.cancel() } }
  }
}
