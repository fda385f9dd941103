import CBPF

/// The constant `flow_timeouts`: how long a flow may be idle, by protocol and state.
struct FlowTimeouts: Sendable {
  /// One row a protocol, in the order of `enum flow_protocol`.
  let words: (flow_timeouts, flow_timeouts, flow_timeouts, flow_timeouts, flow_timeouts)

  /// The same times for every protocol.
  init(
    new: Duration, replied: Duration, established: Duration, closing: Duration, closed: Duration
  ) {
    let nanoseconds = [new, replied, established, closing, closed].map { UInt64($0 / .nanoseconds(1)) }
    let row = CBPF.flow_timeouts(
      state: (nanoseconds[0], nanoseconds[1], nanoseconds[2], nanoseconds[3], nanoseconds[4]))
    words = (row, row, row, row, row)
  }
}
