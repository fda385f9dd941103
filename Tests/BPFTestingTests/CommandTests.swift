import BPFTesting
import Testing

@Suite struct CommandTests {
  @Test func outputIsCaptured() throws {
    #expect(try Command(["echo", "a b"]).output() == "a b\n")
  }

  @Test func inputIsRead() throws {
    var command = Command(["cat"])
    command.input = String(repeating: "line\n", count: 100_000)
    #expect(try command.output() == command.input)
  }

  @Test func failureTellsWhatWasSaid() throws {
    let failure = try #require(throws: Command.Failure.self) {
      try Command(["sh", "-c", "echo broken >&2; exit 3"]).output()
    }
    #expect(failure.result.status == .exited(3))
    #expect(failure.description.contains("broken"))
  }

  @Test func signalIsTold() throws {
    #expect(try Command(["sh", "-c", "kill -TERM $$"]).run().status == .signaled(15))
  }

  @Test func timeIsBoundedForGrandchildrenToo() throws {
    var command = Command(["sh", "-c", "sleep 60 & echo $!; wait"])
    command.timeout = .milliseconds(100)
    let start = ContinuousClock.now
    let result = try command.run()
    #expect(result.status == .timedOut)
    #expect(ContinuousClock.now - start < .seconds(5))
    let grandchild = try #require(Int32(result.output.dropLast()))
    // A signal takes a moment; whoever has ended, even if not reaped yet, has no command line.
    var commandLine = "unknown"
    for _ in 0..<50 where !commandLine.isEmpty {
      commandLine = try Command(["cat", "/proc/\(grandchild)/cmdline"]).run().output
    }
    #expect(commandLine.isEmpty)
  }

  @Test func unknownProgramIsNamed() throws {
    let error = try #require(throws: (any Error).self) { try Command(["no-such-program"]).run() }
    #expect("\(error)".contains("no-such-program"))
    #expect("\(error)".contains("ENOENT"))
  }

  @Test func emptyCommandIsRefused() {
    #expect(throws: (any Error).self) { try Command([]).run() }
  }
}
