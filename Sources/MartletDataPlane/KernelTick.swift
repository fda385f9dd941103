import BPF
import CBPF
import Glibc

/// The kernel's tick: the clock that flows are stamped with.
///
/// Programs read it at no cost, unlike time in nanoseconds. User space has no call for it, nor for its length, so a
/// program of two instructions is asked.
public struct KernelTick: Sendable {
  /// How long a tick is (`1 / CONFIG_HZ`), in nanoseconds.
  public let nanoseconds: UInt64
  private let program: LoadedProgram

  /// Measures the tick; takes a fifth of a second.
  ///
  /// The corresponding helper is `bpf_jiffies64`. Linux 5.6.
  private init() throws(BPFError) {
    program = LoadedProgram(
      try Program(
        type: .schedClassifier, name: "tick",
        instructions: [.call(helper: UInt32(BPF_FUNC_jiffies64.rawValue)), .exit]))
    nanoseconds = try Self.measure(program)
  }

  private static let measured: Result<KernelTick, BPFError> = Result { () throws(BPFError) in try KernelTick() }

  /// The tick, measured once a process.
  public static func shared() throws(BPFError) -> KernelTick { try measured.get() }

  /// The lower half of the counter, now.
  public func now() throws(BPFError) -> UInt32 { try Self.call(program) }

  /// How long ago the tick `stamp` was, in seconds; none counts as more than the lower half can tell.
  func secondsSince(_ stamp: UInt64, now: UInt32) -> Double {
    Double(Int32(bitPattern: now &- UInt32(truncatingIfNeeded: stamp))) * Double(nanoseconds) / 1e9
  }

  /// What a program that needs no packet returns.
  static func call(_ program: LoadedProgram) throws(BPFError) -> UInt32 {
    // The shortest packet that a test run takes.
    try program.program.testRun([UInt8](repeating: 0, count: 14), context: SocketBufferContext()).returnValue
  }

  /// Kernels are built with one of four lengths; the measurement tells which.
  private static func measure(_ program: LoadedProgram) throws(BPFError) -> UInt64 {
    let (start, first) = (monotonicNanoseconds(), try call(program))
    usleep(200_000)
    let (end, last) = (monotonicNanoseconds(), try call(program))
    let rate = Double(last &- first) * 1e9 / Double(end - start)
    let known: [Double] = [100, 250, 300, 1_000]
    let nearest = known.min { abs($0 - rate) < abs($1 - rate) } ?? 250
    return UInt64(1e9 / nearest)
  }

  private static func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
