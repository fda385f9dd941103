import CBPF

extension Program {
  /// Runs the program once on `packet`, attached to nothing, and returns what it did.
  ///
  /// Side effects on maps are real. Throws ``BPFError/Kind-swift.struct/invalid`` if the kernel refuses the packet (it
  /// wants at least the 14 bytes of an Ethernet header) or the context.
  ///
  /// The corresponding bpf(2) command is `BPF_PROG_TEST_RUN`. Linux 4.12; contexts since 5.2 (socket buffers) and
  /// 5.15 (XDP).
  ///
  /// - Parameters:
  ///   - packet: from the Ethernet header on, also for programs that see none.
  ///   - context: a ``SocketBufferContext`` or, for XDP programs, an ``XDPContext``.
  ///   - growth: by how many bytes the packet may grow.
  public borrowing func testRun<Context: TestRunContext>(
    _ packet: [UInt8], context: Context = SocketBufferContext(), growth: Int = 512
  ) throws(BPFError) -> TestRunResult<Context> {
    try testRun(packet, context: context, growth: growth, repetitions: 1)
  }

  /// Runs a program of type ``ProgramType/syscall`` on `context`, which it may change; returns its return value.
  ///
  /// The corresponding bpf(2) command is `BPF_PROG_TEST_RUN`. Linux 5.14.
  public borrowing func call<Context: BitwiseCopyable>(_ context: inout Context) throws(BPFError) -> UInt32 {
    var run = cbpf_test_run()
    let number = descriptor.rawValue
    let error = withUnsafeMutableBytes(of: &context) { bytes in
      // SAFETY: the kernel reads and writes `context_size_in` bytes of it, during the call only.
      run.context_in = UnsafeRawPointer(bytes.baseAddress)
      run.context_size_in = UInt32(bytes.count)
      return cbpf_program_test_run(number, &run)
    }
    guard error == 0 else { throw BPFError(errno: error, operation: "call", object: "program \(name)") }
    return run.return_value
  }

  /// One system call that runs the program `repetitions` times, each time on what the run before has left.
  borrowing func testRun<Context: TestRunContext>(
    _ packet: [UInt8], context: Context, growth: Int, repetitions: UInt32
  ) throws(BPFError) -> TestRunResult<Context> {
    try checkContext(Context.self)
    let input = context.encode(packet: packet)
    var data = [UInt8](repeating: 0, count: input.data.count + growth)
    var contextOut = [UInt8](repeating: 0, count: input.context.count)
    var run = cbpf_test_run()
    run.repeat = repetitions
    let number = descriptor.rawValue
    let error = Self.withPointers(input.data, input.context, &data, &contextOut, in: &run) {
      cbpf_program_test_run(number, &$0)
    }
    guard error == 0 else { throw testRunError(error, packet: packet, needed: Int(run.data_size_out)) }
    let output = Context.decode(
      data: Array(data.prefix(Int(run.data_size_out))), context: Array(contextOut.prefix(Int(run.context_size_out))))
    return TestRunResult(
      returnValue: run.return_value, packet: output.packet, context: output.context, nanoseconds: run.duration)
  }

  /// How many nanoseconds the program takes for each of `packets`, one run a packet.
  ///
  /// Between two runs there is a system call and nothing else: what makes packets, and looks at what became of them, would
  /// push the program out of the processor's caches.
  borrowing func timeRuns<Context: TestRunContext>(
    on packets: [[UInt8]], context: Context
  ) throws(BPFError) -> [UInt32] {
    try checkContext(Context.self)
    let inputs = packets.map { context.encode(packet: $0) }
    var data = [UInt8](repeating: 0, count: 512 + (inputs.map(\.data.count).max() ?? 0))
    var contextOut = [UInt8](repeating: 0, count: inputs.map(\.context.count).max() ?? 0)
    var timings = [UInt32](repeating: 0, count: packets.count)
    let number = descriptor.rawValue
    for (index, input) in inputs.enumerated() {
      var run = cbpf_test_run()
      run.repeat = 1
      let error = Self.withPointers(input.data, input.context, &data, &contextOut, in: &run) {
        cbpf_program_test_run(number, &$0)
      }
      guard error == 0 else { throw testRunError(error, packet: packets[index], needed: Int(run.data_size_out)) }
      timings[index] = run.duration
    }
    return timings
  }

  private borrowing func checkContext<Context: TestRunContext>(_: Context.Type) throws(BPFError) {
    guard Context.programTypes.contains(type) else {
      throw BPFError(
        .invalid, operation: "test", object: "program \(name)",
        hint: "\(Context.self) is not for programs of type \(type)")
    }
  }

  /// Fills in the buffers of `run`, valid during `body`.
  private static func withPointers(
    _ data: [UInt8], _ context: [UInt8], _ dataOut: inout [UInt8], _ contextOut: inout [UInt8],
    in run: inout cbpf_test_run, _ body: (inout cbpf_test_run) -> Int32
  ) -> Int32 {
    data.withUnsafeBytes { data in
      context.withUnsafeBytes { context in
        dataOut.withUnsafeMutableBytes { dataOut in
          contextOut.withUnsafeMutableBytes { contextOut in
            // SAFETY: the kernel uses the four buffers during the call only, within the sizes given.
            (run.data_in, run.data_size_in) = (data.baseAddress, UInt32(data.count))
            (run.context_in, run.context_size_in) = (context.baseAddress, UInt32(context.count))
            (run.data_out, run.data_size_out) = (dataOut.baseAddress, UInt32(dataOut.count))
            (run.context_out, run.context_size_out) = (contextOut.baseAddress, UInt32(contextOut.count))
            return body(&run)
          }
        }
      }
    }
  }

  private borrowing func testRunError(_ error: Int32, packet: [UInt8], needed: Int) -> BPFError {
    var failure = BPFError(errno: error, operation: "test", object: "program \(name)")
    if failure.kind == .full {
      failure.hint = "the packet has grown to \(needed) bytes from \(packet.count): raise `growth`"
    } else if packet.count < 14 {
      failure.hint = "a packet of \(packet.count) bytes is shorter than an Ethernet header"
    }
    return failure
  }
}
