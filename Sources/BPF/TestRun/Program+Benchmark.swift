extension Program {
  /// Times single runs, each on a packet of its own: right for any program.
  ///
  /// A run is a system call and measured by the kernel, whose clock takes some 20 ns itself: compare with an empty
  /// program measured in the same process.
  ///
  /// - Parameters:
  ///   - samples: how many runs to keep.
  ///   - warmUp: how many runs to throw away first.
  ///   - packet: makes the packet of the run with this number, from 0 on, warm-up included; called for all of them first.
  public borrowing func benchmark<Context: TestRunContext>(
    samples: Int, warmUp: Int = 100, context: Context = SocketBufferContext(), fresh packet: (Int) -> [UInt8]
  ) throws(BPFError) -> LatencySamples {
    precondition(samples > 0, "no samples asked for")
    let timings = try timeRuns(on: (0..<(warmUp + samples)).map(packet), context: context)
    return LatencySamples(Array(timings.dropFirst(warmUp)))
  }

  /// The mean of `count` runs in one system call, in nanoseconds: free of the clock's cost, but each run is given what the
  /// run before left, so it is right only for programs that leave packet and context alone.
  ///
  /// Throws ``BPFError/Kind-swift.struct/invalid`` if the program changes either, or if its verdict is not always the
  /// same: most runs would then measure another path.
  public borrowing func benchmark<Context: TestRunContext>(
    count: UInt32, context: Context = SocketBufferContext(), repeated packet: [UInt8]
  ) throws(BPFError) -> UInt32 {
    // The kernel fills in members of the context, so what "unchanged" looks like only a program that does nothing shows.
    let idle = try Program(type: type, name: "idle", instructions: [.move(.r0, 0), .exit])
    let unchanged = try idle.testRun(packet, context: context)
    let verdict = try testRun(packet, context: context).returnValue
    for _ in 0..<8 { try checkRepeatable(try testRun(packet, context: context), unchanged, verdict) }
    let measured = try testRun(packet, context: context, growth: 512, repetitions: count)
    try checkRepeatable(measured, unchanged, verdict)
    return measured.nanoseconds
  }

  private borrowing func checkRepeatable<Context: TestRunContext>(
    _ result: TestRunResult<Context>, _ unchanged: TestRunResult<Context>, _ verdict: UInt32
  ) throws(BPFError) {
    let reason: String? =
      if result.packet != unchanged.packet {
        "it changes its packet"
      } else if result.context != unchanged.context {
        "it changes its context"
      } else if result.returnValue != verdict {
        "it returned \(verdict) and then \(result.returnValue)"
      } else {
        nil
      }
    guard let reason else { return }
    throw BPFError(
      .invalid, operation: "benchmark by repetition", object: "program \(name)",
      hint: "\(reason): measure it with fresh packets")
  }
}
