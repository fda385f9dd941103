import BPFTesting
import CBPF
import MartletModel
import MartletNetworking
import MartletServices
import Testing

@testable import MartletDataPlane

/// The data plane in memory and the program in the kernel are two accounts of the same decisions: on random states and
/// packets, what the kernel does is among what is predicted.
@Suite(.requiresBPF) struct DatapathAgreementTests {
  /// Says what a test chooses, so that every backend's turn comes.
  private final class Chooser: RandomNumberGenerator {
    var number: UInt32 = 0
    func next() -> UInt64 { UInt64(number) << 32 }

    /// Makes the next choice among `count` be `index`.
    func choose(_ index: Int, of count: Int) {
      number = UInt32((UInt64(index) << 32 + UInt64(count) - 1) / UInt64(count))
    }
  }

  @Test(arguments: 1...4) func kernelDoesWhatIsPredicted(seed: Int) throws {
    let kernel = try KernelDatapath()
    var cluster = RandomCluster(seed: UInt64(seed))
    let chooser = Chooser()
    for _ in 0..<10 {
      let dataPlane = try InMemoryDataPlane(cluster.options(), random: chooser)
      let state = cluster.state()
      try #require(dataPlane.start(with: state) == [])
      try kernel.copy(dataPlane)
      let number = state.services[Scene.web]?.ports.first?.protocol ?? .tcp
      for _ in 0..<20 {
        let origin = cluster.origin()
        let packet = cluster.packet(from: origin, protocols: [number, number, .tcp, .icmp])
        // A packet that is its own answer has one half for both.
        if packet.tuple == packet.tuple.reversed { continue }
        try compare(packet, from: origin, dataPlane, chooser, kernel)
      }
    }
  }

  private func compare(
    _ packet: PacketDescription, from origin: PacketOrigin, _ dataPlane: InMemoryDataPlane, _ chooser: Chooser,
    _ kernel: KernelDatapath
  ) throws {
    try kernel.forget()
    let result = try kernel.send(packet, from: origin)
    func predict(_ index: Int, of count: Int) throws -> PacketFate {
      dataPlane.forgetFlows()
      // Session affinity is forgotten as well.
      dataPlane.advance(by: .seconds(86_400))
      chooser.choose(index, of: count)
      return try dataPlane.fate(of: packet, from: origin)
    }
    let count = max(1, try predict(0, of: 1).candidates.count)
    for index in 0..<count {
      let fate = try predict(index, of: count)
      if result.matches(fate, dataPlane) { return try compareReply(to: fate, dataPlane, kernel) }
    }
    Issue.record("\(packet) from \(origin): predicted \(try predict(0, of: 1)), found \(result)")
  }

  /// The other side answers, if packets of it come by here.
  private func compareReply(to fate: PacketFate, _ dataPlane: InMemoryDataPlane, _ kernel: KernelDatapath) throws {
    guard let forwarded = fate.forwarded, let origin = PacketOrigin(answering: fate.verdict) else { return }
    let transport: PacketDescription.Transport? =
      switch forwarded.protocol {
      case .tcp:
        .tcp(source: forwarded.destinationPort, destination: forwarded.sourcePort, flags: [.syn, .ack])
      case .udp: .udp(source: forwarded.destinationPort, destination: forwarded.sourcePort)
      case .sctp: .sctp(source: forwarded.destinationPort, destination: forwarded.sourcePort, chunk: 2)
      case .icmp, .icmpv6: .icmp(.echoReply(identifier: forwarded.sourcePort))
      default: nil
      }
    guard let transport else { return }
    let reply = PacketDescription(from: forwarded.destination, to: forwarded.source, transport)
    let expected = try dataPlane.fate(of: reply, from: origin)
    let result = try kernel.send(reply, from: origin)
    #expect(
      result.matches(expected, dataPlane), "reply \(reply) from \(origin): predicted \(expected), found \(result)")
  }
}

extension PacketOrigin {
  /// Where replies come from. `nil`: from another node, which a test run cannot be, or from nowhere.
  fileprivate init?(answering verdict: PacketFate.Verdict) {
    switch verdict {
    case .pod(let name): self = .pod(name)
    case .host: self = .host
    case .network: self = .network
    case .tunnel, .refused, .dropped, .stack: return nil
    }
  }
}

extension KernelDatapath.Result {
  private static let (shot, redirect, unspecified) = (UInt32(2), UInt32(7), UInt32.max)

  private func flowHas(_ flag: flow_flag) -> Bool { UInt32(flow?.flags ?? 0) & flag.rawValue != 0 }
  private var goesOn: Bool { code == Self.redirect || (code == Self.unspecified && isDecided) }
  private var drops: Set<String> { counters.filter { $0.hasPrefix("drop_") } }

  /// Whether this is what `fate` says.
  func matches(_ fate: PacketFate, _ dataPlane: InMemoryDataPlane) -> Bool {
    let isForwarded = fate.forwarded == nil || (tuple == fate.forwarded && drops.isEmpty)
    return isForwarded && matches(fate.verdict, dataPlane)
  }

  private func matches(_ verdict: PacketFate.Verdict, _ dataPlane: InMemoryDataPlane) -> Bool {
    switch verdict {
    case .dropped(let reason): code == (reason.isAnswered ? Self.redirect : Self.shot) && drops == [reason.name]
    case .refused: code == Self.redirect && counters.contains("refused") && drops.isEmpty && flow == nil
    case .stack:
      code == Self.unspecified && !isDecided && (flow == nil || flowHas(FLOW_BY_STACK)) && drops.isEmpty
    case .host: (code == Self.unspecified || code == Self.redirect) && flowHas(FLOW_TO_HOST)
    case .pod(let name): goesOn && flow?.endpoint == dataPlane.slot(of: name)
    case .network: goesOn && !flowHas(FLOW_TO_HOST) && flow?.endpoint == 0 && flow?.tunnel_node == 0
    case .tunnel(let name): code == Self.redirect && flow?.tunnel_node == dataPlane.tunnelNumber(name)
    }
  }
}
