import BPF
import Glibc

/// Listing folders and reading links.
enum Directory {
  /// Names in the folder at `path`, sorted, without `.` and `..`.
  static func entries(_ path: String) throws(BPFError) -> [String] {
    guard let directory = opendir(path) else { throw BPFError(errno: errno, operation: "open", object: path) }
    defer { closedir(directory) }
    var names: [String] = []
    // SAFETY: the entry is valid until the next call, and its name is terminated; it is copied before that.
    while let entry = readdir(directory) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) { name in
          name.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }

  /// What the symbolic link at `path` says.
  static func target(ofLink path: String) throws(BPFError) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    // SAFETY: the call writes at most as many bytes as it is told.
    let capacity = buffer.count
    let count = try systemCall("read link", path) { readlink(path, &buffer, capacity) }
    return String(decoding: buffer[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// Creates the folder at `path`.
func makeDirectory(_ path: String, mode: mode_t, mayExist: Bool = false) throws(BPFError) {
  do {
    try systemCall("create", path) { mkdir(path, mode) }
  } catch  where mayExist && error.errno == EEXIST {}
}

/// Creates a folder with a fresh name in the system's folder for temporary files.
func makeTemporaryDirectory() throws(BPFError) -> String {
  var template = Array("\(Environment.value("TMPDIR") ?? "/tmp")/bpf-testing-XXXXXX".utf8CString)
  // SAFETY: the template is terminated and ours to overwrite.
  guard mkdtemp(&template) != nil else {
    throw BPFError(errno: errno, operation: "create", object: "temporary folder")
  }
  return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
}
