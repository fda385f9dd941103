import ArgumentParser
import Foundation
import Logging
import MartletDataPlane
import MartletKubernetes
import MartletModel
import MartletNetworking

/// `martlet agent`
struct AgentCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "agent",
    abstract: "Program the node's data plane from manifests, and follow them.",
    discussion: """
      Runs in the network namespace that it is started in. Prints "ready" once the first state is programmed and \
      "synced" after each later change. When it ends, however it ends, packets are forwarded as before; a new agent with \
      the same --pin-root takes over.
      """)

  @Option(help: "This node's name.") var node: String
  @Option(help: "Folder of manifests: *.yaml, *.yml, *.json.") var manifests: String
  @OptionGroup var data: PinOptions
  @Option(help: "cgroup v2 folder whose processes get connect-time balancing.") var cgroup: String?
  @Option(
    name: .customLong("interface"),
    help: "Interface to the network; may be repeated. Default: those with the node's addresses or a default route.")
  var interfaces: [String] = []
  @Option(
    name: .customLong("service-cidrs"),
    help: "Service ranges, comma separated; unallocated addresses in them are dropped.",
    transform: PrefixList.init(parsing:))
  var serviceCIDRs: [PrefixList] = []
  @Option(
    name: .customLong("nodeport-addresses"),
    help: "Where node ports answer: all, primary, or prefixes, comma separated.",
    transform: NodePortAddressesOption.init(parsing:))
  var nodePortAddresses = NodePortAddressesOption(value: .all)
  @Option(
    help: """
      How replies return from pods of other nodes by default: tunnel, dsr (directly), or auto (directly if \
      martlet preflight finds nothing against it).
      """)
  var forwarding = ForwardingOption.tunnel
  @Option(
    name: .customLong("dsr-exclusions"),
    help: "Clients to which replies never return directly: prefixes, comma separated.",
    transform: PrefixList.init(parsing:))
  var directReturnExclusions: [PrefixList] = []
  @Option(
    help: """
      Pods that take the node's address when they leave the cluster: prefixes, comma separated; default: all pod ranges.
      """,
    transform: PrefixList.init(parsing:))
  var masqueradePools: [PrefixList] = []
  @Option(help: "Reach pods of other nodes through a tunnel (vxlan) or by the kernel's routes (none).")
  var overlay = OverlayOption.none
  @Flag(
    help: "Give each node a host endpoint for all of its interfaces, which policies can select by the node's labels.")
  var automaticHostEndpoints = false
  @Option(
    help: """
      Ports of this node that no policy closes: PROTOCOL:PORT or PROTOCOL:CIDR:PORT (an IPv6 CIDR in brackets), comma \
      separated, or none.
      """,
    transform: FailsafePortList.init(parsing:))
  var failsafeInbound = FailsafePortList(ports: FailsafePort.standardInbound)
  @Option(
    help: "Ports of others that this node reaches whatever policies say, likewise.",
    transform: FailsafePortList.init(parsing:))
  var failsafeOutbound = FailsafePortList(ports: FailsafePort.standardOutbound)
  @Option(
    help: """
      What becomes of what pods send to their own node, once their policies allow it: drop, return (the policies of the \
      node's host endpoints decide), accept, or automatic (drop if there is a host endpoint for the node that somebody \
      has written).
      """)
  var workloadToHost = Configuration.WorkloadToHostAction.automatic
  @Flag(help: "Lets pods send VXLAN and IP in IP, which are dropped otherwise.")
  var allowWorkloadTunnels = false
  @Option(
    help: "Senders outside that are not heard: prefixes, comma separated; what they send is dropped on arrival.",
    transform: PrefixList.init(parsing:))
  var blocklist: [PrefixList] = []
  @Option(help: "Port of /healthz and /livez; 0: no health checks, for services neither.")
  var healthPort = HealthServer.defaultPort
  @Option(help: "How much is logged.") var logLevel = Logger.Level.info

  func validate() throws {
    guard !node.isEmpty else { throw ValidationError("--node is empty: name the Node object of this machine") }
  }

  func run() async throws {
    let logger = makeLogger()
    var options = dataPlaneOptions
    // For tools: how the data plane was set up, wherever they are called.
    let folder = URL(fileURLWithPath: manifests).standardizedFileURL.path
    options.recordedArguments = CommandLine.arguments.dropFirst(2) + ["--manifests", folder]
    let agent = try Agent(options, manifests: ManifestFolder(path: manifests), healthPort: healthPort, logger: logger)
    try await agent.run()
  }

  /// How the options set the data plane up.
  var dataPlaneOptions: BPFDataPlane.Options {
    var configuration = Configuration(nodeName: node)
    configuration.serviceCIDRs = serviceCIDRs.flatMap(\.prefixes)
    configuration.nodePortAddresses = nodePortAddresses.value
    configuration.defaultForwarding = forwarding.value
    configuration.automaticHostEndpoints = automaticHostEndpoints
    configuration.failsafeInbound = failsafeInbound.ports
    configuration.failsafeOutbound = failsafeOutbound.ports
    configuration.workloadToHostAction = workloadToHost
    configuration.allowsWorkloadTunnels = allowWorkloadTunnels
    var options = BPFDataPlane.Options(configuration: configuration, pins: data.pins, interfaces: interfaces)
    options.masqueradePools = masqueradePools.isEmpty ? nil : masqueradePools.flatMap(\.prefixes)
    options.directReturnExclusions = directReturnExclusions.flatMap(\.prefixes)
    options.blockedSources = blocklist.flatMap(\.prefixes)
    options.usesOverlay = overlay == .vxlan
    options.cgroup = cgroup
    return options
  }

  private func makeLogger() -> Logger {
    var logger = Logger(label: "martlet") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = logLevel
    logger[metadataKey: "node"] = "\(node)"
    return logger
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}

/// `--forwarding`
enum ForwardingOption: String, ExpressibleByArgument, CaseIterable {
  case tunnel
  case dsr
  case auto

  var value: Service.Forwarding {
    switch self {
    case .tunnel: .tunnel
    case .dsr: .directReturn
    case .auto: .automatic
    }
  }
}

/// `--overlay`
enum OverlayOption: String, ExpressibleByArgument, CaseIterable {
  case none
  case vxlan
}

/// `--nodeport-addresses`
struct NodePortAddressesOption: CustomStringConvertible {
  let value: Configuration.NodePortAddresses

  init(value: Configuration.NodePortAddresses) { self.value = value }

  init(parsing text: String) throws {
    value =
      switch text {
      case "all": .all
      case "primary": .primary
      default: .within(try PrefixList(parsing: text).prefixes)
      }
  }

  var description: String {
    switch value {
    case .all: "all"
    case .primary: "primary"
    case .within(let prefixes): prefixes.map(\.description).joined(separator: ",")
    }
  }
}

extension Configuration.WorkloadToHostAction: ExpressibleByArgument {}

/// `--failsafe-inbound`, `--failsafe-outbound`
struct FailsafePortList: CustomStringConvertible {
  let ports: [FailsafePort]

  init(ports: [FailsafePort]) { self.ports = ports }

  init(parsing text: String) throws { ports = try FailsafePort.list(parsing: text) }

  var description: String { ports.isEmpty ? "none" : ports.map(\.description).joined(separator: ",") }
}
