import CBPF

/// The context of programs that see socket buffers: traffic control, cgroup packets, socket filters.
///
/// These are the members of `struct __sk_buff` that a test run takes and returns. The kernel derives `len` and
/// `protocol` from the packet, has no `tc_classid` and no queue in a test run, and refuses a run that sets them.
public struct SocketBufferContext: TestRunContext {
  /// The mark, as `SO_MARK` and netfilter know it.
  public var mark: UInt32
  /// The priority, as `SO_PRIORITY` knows it.
  public var priority: UInt32
  /// The interface it came in by, by index; 0 for none.
  public var ingressInterface: UInt32
  /// The interface that it is at, by index in the thread's network namespace; 0 for a loopback of the kernel's own.
  public var interface: UInt32
  /// The five words that programs of a layer leave to each other.
  public var controlBlock: (UInt32, UInt32, UInt32, UInt32, UInt32)
  /// Nanoseconds; which clock depends on the hook.
  public var timestamp: UInt64
  /// Bytes on the wire, for packets that stand for several; 0 for the packet's own length. Linux 5.6.
  public var wireLength: UInt32
  /// The packets that it stands for.
  public var segments: UInt32
  /// The payload bytes of each of those.
  public var segmentSize: UInt32

  /// A context with everything zero but what is given.
  public init(mark: UInt32 = 0, priority: UInt32 = 0, ingressInterface: UInt32 = 0, interface: UInt32 = 0) {
    self.mark = mark
    self.priority = priority
    self.ingressInterface = ingressInterface
    self.interface = interface
    controlBlock = (0, 0, 0, 0, 0)
    (timestamp, wireLength, segments, segmentSize) = (0, 0, 0, 0)
  }

  /// A context with everything zero.
  public init() { self.init(mark: 0) }

  /// Traffic control, cgroup packets and socket filters.
  public static var programTypes: [ProgramType] { [.schedClassifier, .cgroupSocketBuffer, .socketFilter] }

  /// Compares all members.
  public static func == (left: Self, right: Self) -> Bool { left.encoded == right.encoded }

  /// The packet as it is, and a `struct __sk_buff`.
  public func encode(packet: [UInt8]) -> (data: [UInt8], context: [UInt8]) { (packet, encoded) }

  private var encoded: [UInt8] {
    var buffer = __sk_buff()
    buffer.mark = mark
    buffer.priority = priority
    buffer.ingress_ifindex = ingressInterface
    buffer.ifindex = interface
    buffer.cb = controlBlock
    buffer.tstamp = timestamp
    buffer.wire_len = wireLength
    buffer.gso_segs = segments
    buffer.gso_size = segmentSize
    return withUnsafeBytes(of: buffer) { Array($0) }
  }

  /// The packet as it is, and the context out of a `struct __sk_buff`.
  public static func decode(data: [UInt8], context: [UInt8]) -> (packet: [UInt8], context: Self) {
    var buffer = __sk_buff()
    withUnsafeMutableBytes(of: &buffer) { $0.copyBytes(from: context.prefix($0.count)) }
    var decoded = SocketBufferContext(
      mark: buffer.mark, priority: buffer.priority, ingressInterface: buffer.ingress_ifindex, interface: buffer.ifindex)
    decoded.controlBlock = buffer.cb
    decoded.timestamp = buffer.tstamp
    decoded.wireLength = buffer.wire_len
    decoded.segments = buffer.gso_segs
    decoded.segmentSize = buffer.gso_size
    return (data, decoded)
  }
}
