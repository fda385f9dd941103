import Dispatch
import Foundation

/// A command of the demo that failed.
struct DemoFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A tool that runs to its end, within five seconds.
enum DemoTool {
  /// Runs `arguments` and returns what they print; throws ``DemoFailure`` with their complaint unless they exit with 0.
  @discardableResult
  static func run(_ arguments: [String], input: String = "") throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["timeout", "5"] + arguments
    let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
    (process.standardInput, process.standardOutput, process.standardError) = (stdin, stdout, stderr)
    try process.run()
    // The tools read their input before they write, and complain in a few lines: no pipe fills up meanwhile.
    try? stdin.fileHandleForWriting.write(contentsOf: Data(input.utf8))
    try? stdin.fileHandleForWriting.close()
    let output = String(decoding: stdout.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let complaint = String(decoding: stderr.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let cause = process.terminationStatus == 124 ? "took more than five seconds" : complaint
      throw DemoFailure("\(arguments.joined(separator: " ")): \(cause)")
    }
    return output
  }

  /// The names among `tools` that are not in `PATH`.
  static func missing(_ tools: [String]) -> [String] {
    tools.filter { (try? run(["sh", "-c", "command -v \($0)"])) == nil }
  }
}

/// A command that serves until it is stopped. It prints "ready" when it does.
final class DemoService {
  private let process = Process()
  private let output = Pipe()
  private let ready = DispatchSemaphore(value: 0)

  /// Starts this very program with `arguments` in a network namespace, and waits until it is ready.
  init(_ arguments: [String], in namespace: String) throws {
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["nsenter", "--net=/run/netns/\(namespace)", program] + arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = output
    let ready = ready
    output.fileHandleForReading.readabilityHandler = { handle in
      let data = handle.availableData
      if data.isEmpty { handle.readabilityHandler = nil }
      // Its end, which is data too, is as good a reason to look.
      ready.signal()
    }
    try process.run()
    guard ready.wait(timeout: .now() + 10) == .success, process.isRunning else {
      stop()
      throw DemoFailure("martlet \(arguments.joined(separator: " ")): not ready; see its complaint above")
    }
  }

  /// Asks it to end, and insists after two seconds.
  func stop() {
    process.terminate()
    for _ in 0..<100 where process.isRunning { usleep(20_000) }
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
    output.fileHandleForReading.readabilityHandler = nil
  }
}
