import BPF
import CBPFTesting
import Glibc

/// A file that exists in memory only: the standard streams of a child. Unlike a pipe it needs nobody to drain it.
struct MemoryFile: ~Copyable {
  let descriptor: FileDescriptor

  init() throws(BPFError) {
    descriptor = FileDescriptor(owning: try check("create", "memory file", bpftest_memory_file()))
  }

  /// Fills the file and rewinds it.
  borrowing func write(_ text: String) throws(BPFError) {
    let bytes = Array(text.utf8)
    var done = 0
    while done < bytes.count {
      // SAFETY: the slice outlives the call and its length is passed.
      done += try systemCall("write", "memory file") {
        bytes[done...].withUnsafeBytes { Glibc.write(descriptor.rawValue, $0.baseAddress, $0.count) }
      }
    }
    lseek(descriptor.rawValue, 0, SEEK_SET)
  }

  /// All of the file.
  borrowing func read() throws(BPFError) -> String {
    try TextFile.read("/proc/self/fd/\(descriptor.rawValue)")
  }
}
