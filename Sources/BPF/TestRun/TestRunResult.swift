/// What a program did to a packet.
public struct TestRunResult<Context: TestRunContext>: Sendable, Equatable {
  /// Its verdict: `TC_ACT_…`, `XDP_…`, and so on.
  public let returnValue: UInt32
  /// The packet as it left it.
  public let packet: [UInt8]
  /// The context as it left it.
  public let context: Context
  /// Nanoseconds that it ran, as the kernel measured: of one cold run not worth much.
  public let nanoseconds: UInt32
}
