import BPF
import BPFTesting
import Glibc
import MartletNetworking

/// Gives the program at a pod's interface TCP packets as the pod would send them, without anybody receiving what becomes
/// of them. To be used in the node's namespace.
struct PodSender: ~Copyable {
  private let program: Program
  private let context: SocketBufferContext
  private let packet: [UInt8]

  /// What a program made of a packet.
  struct Forwarded {
    /// Whether it goes on to somebody.
    let isRedirected: Bool
    /// To whom.
    let destination: SocketAddress
  }

  /// A sender of IPv4 packets to `destination`.
  init(_ pod: Topology.Pod, to destination: IPAddress) throws {
    program = try Program(attachedTo: .tcx(.ingress, interface: pod.nodeInterface.index))
    context = SocketBufferContext(interface: pod.nodeInterface.index)
    packet =
      PacketBuilder().ethernet(from: pod.host.interface.mac, to: pod.nodeInterface.mac)
      .ip(from: pod.host.ipv4, to: destination).tcp(from: 0, to: 0).bytes
  }

  /// Sends a segment. Its checksum is wrong, which hosts would mind and the datapath does not look at.
  @discardableResult
  borrowing func send(from source: UInt16, to destination: UInt16, _ flags: TCPFlags) throws -> Forwarded {
    var bytes = packet
    (bytes[34], bytes[35]) = (UInt8(source >> 8), UInt8(truncatingIfNeeded: source))
    (bytes[36], bytes[37]) = (UInt8(destination >> 8), UInt8(truncatingIfNeeded: destination))
    bytes[47] = UInt8(truncatingIfNeeded: flags.rawValue)
    let result = try program.testRun(bytes, context: context, growth: 256)
    let address = result.packet[30..<34].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    let port = UInt16(result.packet[36]) << 8 | UInt16(result.packet[37])
    let verdict = Int32(bitPattern: result.returnValue)
    // TC_ACT_UNSPEC leaves it to the node's own routes, TC_ACT_REDIRECT has found one.
    return Forwarded(
      isRedirected: verdict == 7 || verdict == -1, destination: SocketAddress(IPAddress(ipv4: address), port))
  }
}
