import ArgumentParser
import Dispatch
import Foundation
import KubeProxyRules
import MartletKubernetes
import MartletModel
import MartletNetworking
import Synchronization

/// `martlet demo`
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Build a small cluster in network namespaces, and show what addresses its pods see.",
    discussion: """
      A client, a node and its pods get a namespace each; an agent programs the node from the manifests; every address \
      of the first service is asked. Then kube-proxy's iptables rules take the agent's place. All of it is removed in \
      the end. Exits with 0 only if every line is ok.
      """)

  @Option(help: "Folder of manifests, with one node and a service with a node port.")
  var manifests = "Examples/manifests"

  func run() throws {
    try checkMachine()
    let interruption = Interruption()
    let scene = try DemoScene(manifests: manifests)
    DemoCluster.removeAbandoned()
    let cluster = DemoCluster(node: scene.node, workloads: scene.pods)
    defer { cluster.remove() }
    try cluster.build(externalAddresses: scene.externalAddresses, port: scene.podPort, checkpoint: interruption.check)

    print("With Martlet")
    let agent = try cluster.startAgent(manifests: manifests)
    let good = try show(try scene.requests(in: cluster), in: cluster, interruption)

    agent.stop()
    try cluster.removeDataPlane()
    for family in AddressFamily.allCases {
      let rules = KubeProxyRules(scene.state, node: scene.node, family).iptables
      try cluster.run(
        [family == .ipv4 ? "iptables-restore" : "ip6tables-restore", "--noflush"], on: cluster.node, input: rules)
    }
    print("\nWith kube-proxy's iptables rules in its place")
    let compared = try show(try scene.nodePortRequests(in: cluster, seenAs: cluster.node), in: cluster, interruption)
    guard good && compared else { throw ExitCode.failure }
  }

  private func show(_ requests: [DemoRequest], in cluster: DemoCluster, _ interruption: Interruption) throws -> Bool {
    var table = TextTable("PATH", "ADDRESS", "BACKENDS", "SOURCE THE POD SAW", "EXPECTED", "OK")
    var failures: [String] = []
    var isGood = true
    for request in requests {
      try interruption.check()
      let outcome = request.perform(in: cluster)
      let isAccepted = request.accepts(outcome)
      isGood = isGood && isAccepted
      if let failure = outcome.failure { failures.append("\(request.path): \(failure)") }
      table.append(
        request.path,
        request.address.isIPv4 ? "\(request.address):\(request.port)" : "[\(request.address)]:\(request.port)",
        outcome.backends.sorted().joined(separator: " "), outcome.sources.sorted().joined(separator: " "),
        "\(request.expectedSource)", isAccepted ? "yes" : "NO")
    }
    print(table.text)
    for failure in failures { print(failure) }
    return isGood
  }

  private func checkMachine() throws {
    guard geteuid() == 0 else { throw CommandFailure("namespaces and BPF need root: sudo martlet demo") }
    let missing = DemoTool.missing(["ip", "nsenter", "sysctl", "curl", "iptables-restore", "ip6tables-restore"])
    guard missing.isEmpty else {
      throw CommandFailure(
        "\(missing.joined(separator: ", ")) not found: apt-get install iproute2 util-linux procps curl iptables")
    }
  }
}

/// Whether somebody wants the demo to end. It then ends at the next step, and tidies up as always.
private final class Interruption: Sendable {
  private let signal = Atomic<Int32>(0)
  // SAFETY: sources are only ever cancelled, from any thread.
  nonisolated(unsafe) private var sources: [any DispatchSourceSignal] = []

  init() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      Foundation.signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { [weak self] in self?.signal.store(number, ordering: .relaxed) }
      source.resume()
      sources.append(source)
    }
  }

  func check() throws {
    let number = signal.load(ordering: .relaxed)
    if number != 0 { throw ExitCode(128 + number) }
  }
}
