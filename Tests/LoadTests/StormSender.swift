import BPF
import BPFTesting
import MartletNetworking
import MartletPolicy

/// Gives the program of an interface a question's packets, without anybody receiving what becomes of them. To be used in
/// the node's namespace.
final class StormSender {
  private let program: Program
  private let context: SocketBufferContext
  private let link: PacketBuilder
  private let question: StormQuestion

  init(_ question: StormQuestion, _ node: StormNode) throws {
    let interface = question.sender.flatMap { node.pods[$0] } ?? node.network
    program = try Program(attachedTo: .tcx(.ingress, interface: interface.index))
    context = SocketBufferContext(interface: interface.index)
    link = PacketBuilder().ethernet(to: interface.mac)
    self.question = question
  }

  func send(from port: UInt16) throws -> PolicyDecision {
    let packet = question.packet
    let ip = link.ip(from: packet.source, to: packet.destination)
    let bytes =
      packet.protocol == .tcp
      ? ip.tcp(from: port, to: packet.destinationPort, flags: .syn).bytes
      : ip.udp(from: port, to: packet.destinationPort).bytes
    let result = try program.testRun(bytes, context: context, growth: 256)
    // TC_ACT_SHOT; and what goes back to the sender tells it so.
    if result.returnValue == 2 { return .deny }
    return ParsedPacket(result.packet).ip?.destination == packet.destination ? .allow : .reject
  }
}
