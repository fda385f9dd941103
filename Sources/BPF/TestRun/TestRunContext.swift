/// What a program under test sees beside the packet, and what it leaves there: ``SocketBufferContext`` or
/// ``XDPContext``.
public protocol TestRunContext: Sendable, Equatable {
  /// The types of programs that take it.
  static var programTypes: [ProgramType] { get }
  /// The context of a packet of which nothing is known.
  init()
  /// The bytes for the kernel: the packet as it takes it, and its own context struct.
  func encode(packet: [UInt8]) -> (data: [UInt8], context: [UInt8])
  /// The packet and the context out of the kernel's bytes.
  static func decode(data: [UInt8], context: [UInt8]) -> (packet: [UInt8], context: Self)
}
