import Glibc

/// The folder and its files as the kernel shows them.
enum FileSystem {
  /// A call that failed.
  struct Failure: Error {
    let code: Int32

    /// In words.
    var message: String {
      // SAFETY: strerror returns a string that stays valid until the thread calls it again.
      "cannot be read: \(String(cString: strerror(code)))"
    }
  }

  /// What changes when a file does. Equal signatures mean equal contents, but for a file that is still being written.
  struct Signature: Hashable, Sendable {
    let device: UInt
    let inode: UInt
    let size: Int
    let modified: Duration
    let changed: Duration

    init(_ status: stat) {
      device = status.st_dev
      inode = status.st_ino
      size = status.st_size
      modified = .seconds(status.st_mtim.tv_sec) + .nanoseconds(status.st_mtim.tv_nsec)
      changed = .seconds(status.st_ctim.tv_sec) + .nanoseconds(status.st_ctim.tv_nsec)
    }

    /// Whether the file may change again without its time telling: the clock that stamps files is coarse.
    func isRecent(at now: Duration) -> Bool {
      now - max(modified, changed) < .milliseconds(20)
    }
  }

  /// Time since 1970, as file times are.
  static var now: Duration {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
  }

  /// The names in a folder.
  static func names(inFolder path: String) throws(Failure) -> [String] {
    guard let directory = opendir(path) else { throw Failure(code: errno) }
    defer { closedir(directory) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(directory) {
      // SAFETY: d_name is NUL-terminated and valid until the next call.
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) { name in
          name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    if errno != 0 { throw Failure(code: errno) }
    return names
  }

  /// The signature of the regular file at `path`, symbolic links followed. `nil` if there is none.
  static func signature(ofFile path: String) -> Signature? {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    return Signature(status)
  }

  /// The contents of a file, and the signature it had when they were read.
  static func read(_ path: String) throws(Failure) -> (contents: [UInt8], signature: Signature) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw Failure(code: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw Failure(code: errno) }
    var contents: [UInt8] = []
    // One more than the size, so that a single call finds the end.
    var chunk = [UInt8](repeating: 0, count: max(Int(status.st_size), 4095) + 1)
    while true {
      // SAFETY: the buffer is the array's own storage, of the size given.
      let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure(code: errno) }
      if count == 0 { return (contents, Signature(status)) }
      contents += chunk[..<count]
    }
  }
}
