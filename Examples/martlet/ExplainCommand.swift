import ArgumentParser
import BPF
import Foundation
import MartletDataPlane
import MartletKubernetes
import MartletModel
import MartletNetworking
import MartletPolicy

/// `martlet explain`
struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Tell what becomes of a packet on this node, and by which rules.",
    discussion: """
      Runs the attached programs on such a packet, of which nothing stays behind, and asks the manifests what should \
      become of it. Exits with 1 if the two disagree, with 2 if they could not be asked. Run it where the agent runs: in the node's network namespace. \
      Options of the agent are those that it was started with.
      """)

  @Option(help: "Who sends: an address, NAMESPACE/POD, or the name of a node.") var from: String
  @Option(help: "To whom: likewise.") var to: String
  @Option(name: .customLong("protocol"), help: "tcp, udp, sctp, icmp, icmpv6 or a number.") var number = "tcp"
  @Option(help: "The port that it is sent to.") var port: UInt16?
  @Option(help: "The port that it is sent from; default: one that is not in use.") var sourcePort: UInt16?
  @Option(help: "The type of an ICMP message; default: an echo.") var icmpType: UInt8?
  @Option(help: "Its code.") var icmpCode: UInt8 = 0
  @Option(help: "The interface that it comes in by; default: the one that leads to the sender.")
  var ingressInterface: String?
  @Option(help: "ipv4 or ipv6, where both ends have addresses of both; default: ipv4.") var family = FamilyOption.ipv4
  @Option(help: "This node's name, if no agent has recorded it.") var node: String?
  @Option(help: "Folder of manifests; default: the agent's.") var manifests: String?
  @OptionGroup var data: PinOptions
  @Option(help: "table or json.") var output = OutputFormat.table

  func run() throws {
    let agent = try agentCommand()
    let contents = ManifestFolder(path: agent.manifests).load()
    for problem in contents.problems { FileHandle.standardError.write(Data("\(problem)\n".utf8)) }
    let explainer = try PacketExplainer(agent.dataPlaneOptions, state: contents.state)
    let explanation = try explanation(by: explainer, of: packet(contents.state))
    switch output {
    case .json: try printJSON(explanation)
    case .table: printText(explanation)
    }
    guard !explanation.disagreements.isEmpty else { return }
    if contents.problems.contains(where: { $0.severity == .error }) {
      let hint =
        "of what is wrong in the manifests the agent may have kept an earlier version, which is not known here\n"
      FileHandle.standardError.write(Data(hint.utf8))
    }
    throw ExitCode.failure
  }

  private func explanation(by explainer: PacketExplainer, of packet: PolicyPacket) throws -> Explanation {
    do {
      return try explainer.explain(packet, ingressInterface: ingressInterface)
    } catch var error as BPFError where error.kind == .notFound && error.operation == "test" {
      error.hint = "the node's interfaces are not here: run it in the node's network namespace"
      throw error
    }
  }

  /// The agent as it was started, or as the options say.
  private func agentCommand() throws -> AgentCommand {
    _ = try data.openMaps()
    let recorded = try AgentRecord.arguments(pinnedUnder: data.pins)
    guard recorded != nil || node != nil && manifests != nil else {
      throw CommandFailure(
        """
        no agent has recorded its options under \(data.pinRoot), or they were too long to be: name --node and --manifests
        """)
    }
    var arguments = recorded ?? []
    if let node { arguments += ["--node", node] }
    if let manifests { arguments += ["--manifests", manifests] }
    return try AgentCommand.parse(arguments + ["--pin-root", data.pinRoot])
  }

  // MARK: - The packet

  private func packet(_ state: ClusterState) throws -> PolicyPacket {
    let (sources, destinations) = (try addresses(of: from, state), try addresses(of: to, state))
    let families = try families
    let found = families.lazy.compactMap { family -> (IPAddress, IPAddress)? in
      guard let source = sources.first(where: { $0.family == family }),
        let destination = destinations.first(where: { $0.family == family })
      else { return nil }
      return (source, destination)
    }.first
    guard let (source, destination) = found else {
      let wanted = Set(families).count == 1 ? "of the family of \(number)" : "of one family"
      throw CommandFailure("\(from) and \(to) have no addresses \(wanted)")
    }
    let number = try transport ?? (source.isIPv4 ? .icmp : .icmpv6)
    switch number {
    case .icmp, .icmpv6:
      var packet = PolicyPacket(
        from: source, to: destination, icmpType: icmpType ?? (source.isIPv4 ? 8 : 128), code: icmpCode)
      packet.sourcePort = sourcePort ?? unusedPort
      return packet
    case _ where number.hasPorts:
      guard let port else { throw ValidationError("\(number) needs --port") }
      return PolicyPacket(
        from: source, to: destination, number, sourcePort: sourcePort ?? unusedPort, destinationPort: port)
    default: return PolicyPacket(from: source, to: destination, number)
    }
  }

  /// Nobody has a flow by it but by chance, and that would be told.
  private var unusedPort: UInt16 { UInt16.random(in: 61_000...65_000) }

  private func addresses(of name: String, _ state: ClusterState) throws -> [IPAddress] {
    if let address = IPAddress(name) { return [address] }
    if let node = state.nodes[name] { return node.addresses.map(\.address) }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    if parts.count == 2, let pod = state.workloads[NamespacedName(namespace: parts[0], name: parts[1])] {
      guard !pod.addresses.isEmpty else { throw CommandFailure("pod \(name) has no address yet") }
      return pod.addresses
    }
    throw CommandFailure("\(name) is neither an address nor a pod (NAMESPACE/NAME) nor a node of the manifests")
  }

  /// What `--protocol` names; `nil`: ICMP of whichever family it is.
  private var transport: L4Protocol? {
    get throws {
      let word = number.lowercased()
      if word == "icmp" { return nil }
      if word == "icmpv6" { return .icmpv6 }
      if let known = L4Protocol(number) ?? L4Protocol(number.uppercased()) { return known }
      throw ValidationError("\"\(number)\" is not one of tcp, udp, sctp, icmp, icmpv6, or a number to 255")
    }
  }

  /// The families that the packet may be of, the one that is asked for first.
  private var families: [AddressFamily] {
    get throws {
      switch try transport {
      case .icmp?: [.ipv4]
      case .icmpv6?: [.ipv6]
      default: [family.value] + AddressFamily.allCases
      }
    }
  }

  // MARK: - Output

  private func printText(_ explanation: Explanation) {
    print("packet   \(explanation.packet)")
    print("seen by  \(explanation.seenBy)")
    if let service = explanation.service {
      print("service  \(service): \(explanation.backends.joined(separator: " or "))")
    }
    for step in explanation.steps {
      print("asked    \(step.point): \(step.packet)")
      for policy in step.policies { print("           \(policy)") }
      for rule in step.logged { print("         logged by \(rule)") }
      print("         \(step.decision)\(step.rule.map { " by \($0)" } ?? "")")
      if let staged = step.staged { print("         with what is staged: \(staged)") }
    }
    print("verdict  \(explanation.verdict)\(explanation.dropReason.map { ", \($0)" } ?? "")")
    if explanation.disagreements.isEmpty { print("model    agrees") }
    for disagreement in explanation.disagreements { print("model    DISAGREES: \(disagreement)") }
  }
}

/// `--family`
enum FamilyOption: String, ExpressibleByArgument, CaseIterable {
  case ipv4
  case ipv6

  var value: AddressFamily { self == .ipv4 ? .ipv4 : .ipv6 }
}
