import CBPF
import Glibc

/// Runs `body` and returns with its result what libbpf printed on this thread meanwhile.
///
/// `body` must not suspend: the capture belongs to the thread.
func capturingLog<Result>(_ body: () -> Result) -> (result: Result, log: String) {
  cbpf_log_begin()
  let result = body()
  guard let caught = cbpf_log_end() else { return (result, "") }
  defer { free(caught) }
  // SAFETY: a string that ends with a zero and is ours until it is freed.
  let lines = String(cString: caught).split(separator: "\n", omittingEmptySubsequences: false)
  // libbpf guesses at the memory limit whenever root gets EPERM; since Linux 5.11 that is never the cause.
  return (result, lines.filter { !$0.contains("try raising 'ulimit -l'") }.joined(separator: "\n"))
}

/// The memory that the verifier writes its log to when it refuses a program.
///
/// One is enough for all programs of an object: libbpf asks for a log only when a program has been refused, and stops
/// at the first.
struct VerifierBuffer: ~Copyable {
  private let start: UnsafeMutablePointer<CChar>?

  init() { start = cbpf_verifier_buffer_create() }
  deinit { if let start { cbpf_verifier_buffer_destroy(start) } }

  /// What the verifier wrote; empty if it was content.
  var text: String {
    // SAFETY: the mapping starts zeroed and the kernel ends what it writes with a zero.
    start.map { String(cString: $0) } ?? ""
  }

  /// Makes libbpf use this buffer for `program`; without one it grows its own and prints it.
  func use(for program: OpaquePointer) {
    guard let start else { return }
    bpf_program__set_log_buf(program, start, cbpf_verifier_buffer_size())
  }

  /// The start of the buffer for a system call made without libbpf's objects.
  func withMemory<Result>(_ body: (UnsafeMutablePointer<CChar>?, _ size: Int) -> Result) -> Result {
    body(start, start == nil ? 0 : cbpf_verifier_buffer_size())
  }
}
