import Glibc

/// The right to write to a pin folder: one agent at a time has it.
///
/// A lock file, since a bpf file system holds no files of its own. The kernel releases the lock with the process, however
/// it ends.
public final class PinLock: Sendable {
  private let descriptor: Int32

  /// Another process has the lock.
  public struct Taken: Error, CustomStringConvertible {
    /// The pin folder.
    public let root: String
    /// Who has it, as far as it has said.
    public let process: pid_t?

    /// Names the other process.
    public var description: String {
      let owner = process.map { "process \($0)" } ?? "another process"
      return "\(root) is in use by \(owner): stop that agent, or give this one a --pin-root of its own"
    }
  }

  /// The lock file cannot be made.
  public struct Unavailable: Error, CustomStringConvertible {
    /// What is wrong.
    public let description: String
  }

  private static let folder = "/run/martlet"

  /// Takes the lock of `pins`, or throws ``Taken``.
  public init(_ pins: PinFolder) throws {
    let path = "\(Self.folder)/\(pins.root.map { $0 == "/" ? "-" : String($0) }.joined()).lock"
    mkdir(Self.folder, 0o755)
    let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard file >= 0 else {
      throw Unavailable(description: "cannot open \(path): \(String(cString: strerror(errno))); run as root")
    }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      let process = Self.owner(file)
      close(file)
      throw Taken(root: pins.root, process: process)
    }
    let text = "\(getpid())\n"
    ftruncate(file, 0)
    pwrite(file, text, text.utf8.count, 0)
    descriptor = file
  }

  deinit { close(descriptor) }

  private static func owner(_ file: Int32) -> pid_t? {
    var bytes = [UInt8](repeating: 0, count: 32)
    let count = pread(file, &bytes, bytes.count, 0)
    return pid_t(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n").first ?? "")
  }
}
