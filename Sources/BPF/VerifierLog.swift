/// What libbpf and the kernel's verifier said while an object was loaded, complete.
///
/// The verifier's verdict is searched by what it says, not by where it stands, since its place in the log has changed
/// from kernel to kernel. If nothing is recognised, ``excerpt`` has the last lines that are not states or instructions.
public struct VerifierLog: Sendable, Equatable {
  /// Everything, line by line as it was written.
  public let text: String
  /// The program that the verifier refused; `nil` if it came to none.
  public let program: String?
  /// The verdict in one line, with the place in the source where the log names it; `nil` if the log is empty.
  public let summary: String?
  /// The lines worth reading first: the verdict, or the last ten that carry a message.
  public let excerpt: [String]

  /// Reads a captured log; `nil` if there is nothing in it.
  public init?(text: String) {
    let lines = text.split(whereSeparator: \.isNewline).map(String.init)
    guard !lines.isEmpty else { return nil }
    self.text = text
    guard let body = Self.verifierOutput(in: lines) else {
      // libbpf alone: the cause comes first, what failed because of it after.
      program = nil
      excerpt = Array(lines.suffix(10))
      summary = lines[0].hasPrefix("libbpf: ") ? String(lines[0].dropFirst("libbpf: ".count)) : lines[0]
      return
    }
    program = Self.refusedProgram(in: lines)
    let messages = body.filter { !Self.isTrace($0) }
    let verdict = messages.last { line in Self.markers.contains { line.contains($0) } }
    excerpt = verdict.map { [$0] } ?? Array(messages.suffix(10))
    let place = Self.sourcePlace(in: body).map { " at \($0)" } ?? ""
    summary = (excerpt.last ?? body.last).map { $0 + place }
  }

  /// The log of a program that was loaded without libbpf; `nil` if there is nothing in it.
  init?(verifier: String, program: String) {
    guard !verifier.isEmpty else { return nil }
    self.init(text: Self.framed(verifier, program: program))
  }

  /// The verifier's output between the marks that libbpf puts around it.
  static func framed(_ verifier: String, program: String) -> String {
    "libbpf: prog '\(program)': \(begin)\n\(verifier)\n\(end)\n"
  }
}

extension VerifierLog {
  private static let begin = "-- BEGIN PROG LOAD LOG --"
  private static let end = "-- END PROG LOAD LOG --"

  /// The verifier's part of the log: between libbpf's marks if they are there.
  private static func verifierOutput(in lines: [String]) -> ArraySlice<String>? {
    guard let first = lines.lastIndex(where: { $0.contains(begin) }) else { return nil }
    let rest = lines[(first + 1)...]
    return rest[..<(rest.firstIndex { $0.contains(end) } ?? rest.endIndex)]
  }

  /// `from_pod` of `libbpf: prog 'from_pod': -- BEGIN PROG LOAD LOG --`.
  private static func refusedProgram(in lines: [String]) -> String? {
    let quoted = lines.last { $0.contains(begin) }?.split(separator: "'", maxSplits: 2)
    return quoted.flatMap { $0.count > 1 ? String($0[1]) : nil }
  }

  /// Where the source was when the verifier stopped: `nat.bpf.c:9: return v->count;`. Kernels before 6.9 give no file.
  private static func sourcePlace(in body: ArraySlice<String>) -> String? {
    guard let line = body.last(where: { $0.hasPrefix("; ") })?.dropFirst(2) else { return nil }
    guard let at = line.lastRange(of: " @ ") else { return String(line) }
    return "\(line[at.upperBound...]): \(line[..<at.lowerBound])"
  }

  /// Instructions, register states, source lines and statistics: the trace that leads to the verdict.
  private static func isTrace(_ line: String) -> Bool {
    let start = line.drop { $0.isNumber || $0.isWhitespace }
    if start.hasPrefix(": ") || start.hasPrefix(":(") { return true }
    return traceStarts.contains { line.hasPrefix($0) } || isRegisterState(line)
  }

  /// `R1=ctx() R10=fp0`, `R0_w=scalar()`.
  private static func isRegisterState(_ line: String) -> Bool {
    guard line.hasPrefix("R") else { return false }
    let rest = line.dropFirst().drop { $0.isNumber }
    return rest.hasPrefix("=") || rest.hasPrefix("_")
  }

  private static let traceStarts = [
    ";", "processed ", "from ", "func#", "frame", "caller:", "callee:", "returning from callee", "to caller",
    "mark_precise:", "last_idx", "regs=", "parent ", "max_states", "stack depth", "verification time", "Live regs",
    "propagating", "Func#", "Validating", "arg#", "libbpf: prog",
  ]

  /// Parts of the verifier's verdicts, from kernel/bpf/verifier.c, btf.c and the attach checks.
  private static let markers = [
    "invalid ", "Invalid ", "!read_ok", "unbounded", "is outside of", "min value is", "max value is", "not allowed",
    "not supported", "cannot ", "Cannot ", "can't ", "unknown func", "unreachable insn", "back-edge",
    "infinite loop", "too large", "too many", "too complex", "prohibited", "misaligned", "Unreleased reference",
    "expected=", "expected ", "out of range", "combined stack size", "math between", "dereference of modified",
    "leads to", "leaks addr", "has value", "should have been", "Possibly NULL", "must be", "type mismatch",
    "no prog", "does not", "doesn't", "is not", "missing", "failed", "Failed",
  ]
}

extension Substring {
  /// The last place where `pattern` occurs.
  fileprivate func lastRange(of pattern: String) -> Range<Index>? { ranges(of: pattern).last }
}
