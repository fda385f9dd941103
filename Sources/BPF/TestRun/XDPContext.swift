import CBPF

/// The context of XDP programs: the members of `struct xdp_md` that a test run takes and returns.
public struct XDPContext: TestRunContext {
  /// The bytes before the packet, by which programs talk to later ones: at most 255, a multiple of four.
  public var metadata: [UInt8]
  /// The interface it came in by, by index in the thread's network namespace; 0 for the loopback.
  public var ingressInterface: UInt32
  /// The receive queue; must exist on that interface.
  public var receiveQueue: UInt32

  /// A context with nothing but what is given.
  public init(metadata: [UInt8] = [], ingressInterface: UInt32 = 0, receiveQueue: UInt32 = 0) {
    self.metadata = metadata
    self.ingressInterface = ingressInterface
    self.receiveQueue = receiveQueue
  }

  /// A context with nothing.
  public init() { self.init(metadata: []) }

  /// XDP.
  public static var programTypes: [ProgramType] { [.xdp] }

  /// The metadata and the packet, and a `struct xdp_md` that says where the one ends and the other begins.
  public func encode(packet: [UInt8]) -> (data: [UInt8], context: [UInt8]) {
    var description = xdp_md()
    description.data = UInt32(metadata.count)
    description.data_end = UInt32(metadata.count + packet.count)
    description.ingress_ifindex = ingressInterface
    description.rx_queue_index = receiveQueue
    return (metadata + packet, withUnsafeBytes(of: description) { Array($0) })
  }

  /// The packet and the metadata, where a `struct xdp_md` says that they are.
  public static func decode(data: [UInt8], context: [UInt8]) -> (packet: [UInt8], context: Self) {
    var description = xdp_md()
    withUnsafeMutableBytes(of: &description) { $0.copyBytes(from: context.prefix($0.count)) }
    let start = min(Int(description.data), data.count)
    let decoded = XDPContext(
      metadata: Array(data[..<start]), ingressInterface: description.ingress_ifindex,
      receiveQueue: description.rx_queue_index)
    return (Array(data[start...]), decoded)
  }
}
