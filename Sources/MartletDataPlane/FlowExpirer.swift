import BPF

/// Has the datapath look at the confirmed flows that are due.
///
/// New flows make it do so as well, so the table stays clean without an agent; this is for the time in which none begin.
struct FlowExpirer {
  private let program: LoadedProgram

  /// `EXPIRE_BATCH` of `CBPF/datapath/tc.bpf.c`.
  private static let batch: UInt32 = 4096

  init(_ programs: DatapathPrograms) throws(BPFError) {
    program = try programs.program("expire")
  }

  /// Returns how many flows were looked at.
  @discardableResult
  func expire() throws(BPFError) -> Int {
    var total = 0
    while true {
      let count = try KernelTick.call(program)
      total += Int(count)
      if count < Self.batch { return total }
    }
  }
}
