import BPF
import CBPFTesting
import Glibc

/// A program to run to its end, with its output captured and its time bounded.
///
/// The child gets the namespace and cgroup of the thread that calls ``run()``, and a process group of its own, which is
/// killed as a whole when the time is up.
public struct Command: Sendable {
  /// The program, searched in `PATH`, and its arguments.
  public var arguments: [String]
  /// What it reads from standard input.
  public var input = ""
  /// How long it may take.
  public var timeout: Duration = .seconds(10)

  /// A command with nothing to read and ten seconds to run.
  public init(_ arguments: [String]) { self.arguments = arguments }

  /// How a command ended, and what it printed.
  public struct Result: Sendable {
    /// How it ended.
    public enum Status: Sendable, Equatable {
      /// It exited with this code.
      case exited(Int32)
      /// This signal ended it.
      case signaled(Int32)
      /// It was killed because its time was up.
      case timedOut
    }

    /// How it ended.
    public var status: Status
    /// Its standard output.
    public var output: String
    /// Its standard error.
    public var errors: String
  }

  /// A command that did not exit with 0.
  public struct Failure: Error, Sendable, CustomStringConvertible {
    /// The command.
    public let command: Command
    /// How it ended.
    public let result: Result

    /// The command line, its end, what it read, and what it complained about.
    public var description: String {
      let input = command.input.isEmpty ? "" : "\nwhich read:\n\(command.input)"
      return "\(command.arguments.joined(separator: " ")): \(result.status)\n\(result.errors)\(input)"
    }
  }

  /// Runs the command and returns its output; throws ``Failure`` unless it exits with 0.
  @discardableResult
  public func output() throws -> String {
    let result = try run()
    guard result.status == .exited(0) else { throw Failure(command: self, result: result) }
    return result.output
  }

  /// Runs the command to its end, whatever that is.
  ///
  /// The corresponding C function is `posix_spawnp`.
  public func run() throws(BPFError) -> Result {
    guard !arguments.isEmpty else {
      throw BPFError(.invalid, operation: "run", object: "command", hint: "name a program")
    }
    let input = try MemoryFile()
    let output = try MemoryFile()
    let errors = try MemoryFile()
    try input.write(self.input)
    let child = try spawn(input: input.descriptor, output: output.descriptor, errors: errors.descriptor)
    let ended = try waitForEnd(of: child)
    if !ended { kill(-child, SIGKILL) }
    let status = try reap(child)
    return Result(status: ended ? status : .timedOut, output: try output.read(), errors: try errors.read())
  }

  private func spawn(
    input: borrowing FileDescriptor, output: borrowing FileDescriptor, errors: borrowing FileDescriptor
  ) throws(BPFError) -> pid_t {
    var words = arguments.map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    // SAFETY: the vector ends with NULL, and it and its strings outlive the call.
    return try check(
      "run", arguments[0], bpftest_spawn(&words, input.rawValue, output.rawValue, errors.rawValue))
  }

  /// Whether `child` ends before its time is up. It is left to be reaped.
  private func waitForEnd(of child: pid_t) throws(BPFError) -> Bool {
    let process = FileDescriptor(owning: try check("watch", arguments[0], bpftest_open_process(child)))
    var waiting = pollfd(fd: process.rawValue, events: Int16(POLLIN), revents: 0)
    let end = ContinuousClock.now + timeout
    while true {
      // SAFETY: one structure, which outlives the call.
      let ready = poll(&waiting, 1, max(0, (end - .now).milliseconds))
      if ready >= 0 { return ready > 0 }
      if errno != EINTR { throw BPFError(errno: errno, operation: "wait for", object: arguments[0]) }
    }
  }

  private func reap(_ child: pid_t) throws(BPFError) -> Result.Status {
    var status: Int32 = 0
    // SAFETY: one word, which outlives the call.
    try systemCall("wait for", arguments[0]) { waitpid(child, &status, 0) }
    // The low seven bits are the signal, 0 for none; the next byte is the exit code: WTERMSIG, WEXITSTATUS.
    return status & 0x7f == 0 ? .exited(status >> 8 & 0xff) : .signaled(status & 0x7f)
  }
}

extension Duration {
  /// Whole milliseconds, rounded up, for system calls.
  var milliseconds: Int32 {
    let (seconds, attoseconds) = components
    return Int32(clamping: seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }
}
