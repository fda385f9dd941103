import BPF
import Glibc

/// Whole small files, such as those of procfs and sysfs.
enum TextFile {
  static func read(_ path: String) throws(BPFError) -> String {
    let file = try open(path, O_RDONLY)
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      // SAFETY: the buffer outlives the call and its length is passed.
      let count = try systemCall("read", path) { Glibc.read(file.rawValue, &chunk, chunk.count) }
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
  }

  /// Writes with one call, as procfs and sysfs want it. The file must exist.
  static func write(_ path: String, _ text: String) throws(BPFError) {
    let file = try open(path, O_WRONLY)
    let bytes = Array(text.utf8)
    // SAFETY: the buffer outlives the call and its length is passed.
    try systemCall("write", path) { Glibc.write(file.rawValue, bytes, bytes.count) }
  }

  private static func open(_ path: String, _ mode: Int32) throws(BPFError) -> FileDescriptor {
    FileDescriptor(owning: try systemCall("open", path) { Glibc.open(path, mode | O_CLOEXEC) })
  }
}
