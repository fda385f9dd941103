import BPF
import Glibc

/// The right to write to a pin folder: one agent at a time has it.
///
/// A lock on the folder itself, whatever path leads to it. The kernel releases it with the process, however it ends.
///
/// The corresponding C function is `flock`.
public final class PinLock: Sendable {
  private let descriptor: Int32

  /// Another process has the lock.
  public struct Taken: Error, CustomStringConvertible {
    /// The pin folder.
    public let root: String
    /// Who has it, as far as the kernel tells.
    public let process: pid_t?

    /// Names the other process.
    public var description: String {
      let owner = process.map { "process \($0)" } ?? "another process"
      return """
        \(root) is in use by \(owner): stop that agent first. A network namespace has one agent; one in another needs a \
        --pin-root of its own
        """
    }
  }

  /// Takes the lock of `pins`, whose folder exists, or throws ``Taken``.
  public init(_ pins: PinFolder) throws {
    while true {
      let folder = open(pins.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      guard folder >= 0 else { throw BPFError(errno: errno, operation: "open pin root", object: pins.root) }
      guard flock(folder, LOCK_EX | LOCK_NB) == 0 else {
        let process = Self.owner(of: folder)
        close(folder)
        throw Taken(root: pins.root, process: process)
      }
      // Whoever had it may have removed it, and somebody may have made another.
      if Self.isStill(folder, at: pins.root) {
        descriptor = folder
        return
      }
      close(folder)
    }
  }

  deinit { close(descriptor) }

  private static func isStill(_ folder: Int32, at path: String) -> Bool {
    var (locked, named) = (stat(), stat())
    return fstat(folder, &locked) == 0 && stat(path, &named) == 0 && locked.st_dev == named.st_dev
      && locked.st_ino == named.st_ino
  }

  /// As `/proc/locks` has it: "1: FLOCK ADVISORY WRITE PID MAJOR:MINOR:INODE 0 EOF", device numbers in hexadecimal.
  private static func owner(of folder: Int32) -> pid_t? {
    var status = stat()
    guard fstat(folder, &status) == 0, let locks = fopen("/proc/locks", "re") else { return nil }
    defer { fclose(locks) }
    var (line, capacity): (UnsafeMutablePointer<CChar>?, Int) = (nil, 0)
    defer { free(line) }
    while getline(&line, &capacity, locks) > 0 {
      guard let text = line.map({ String(cString: $0) }) else { continue }
      let fields = text.split(separator: " ")
      guard fields.count > 5, fields[1] == "FLOCK" else { continue }
      let place = fields[5].split(separator: ":")
      guard place.count == 3, let major = dev_t(place[0], radix: 16), let minor = dev_t(place[1], radix: 16),
        // makedev(3), which is a macro.
        minor & 0xff | major << 8 | (minor & ~0xff) << 12 == status.st_dev, place[2] == "\(status.st_ino)"
      else { continue }
      return pid_t(fields[4]).flatMap { $0 > 0 ? $0 : nil }
    }
    return nil
  }
}
