import CBPF
import Glibc

/// Pins: names for kernel objects in a bpf file system, which keep them alive without a process.
public enum BPFFileSystem {
  /// Where distributions mount it.
  public static let defaultMount = "/sys/fs/bpf"

  /// Whether `path` lies in a bpf file system; `false` as well if it does not exist.
  ///
  /// The corresponding C function is `statfs`.
  public static func contains(_ path: String) -> Bool { cbpf_in_bpf_file_system(path) }

  /// Removes the pin at `path`; the object lives on while anything else holds it.
  ///
  /// The corresponding C function is `unlink`.
  public static func unpin(_ path: String) throws(BPFError) {
    guard unlink(path) == 0 else { throw BPFError(errno: errno, operation: "unpin", object: path) }
  }

  /// Names the object behind `descriptor` with `path`, whose folder must be in a bpf file system.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_PIN`.
  static func pin(_ descriptor: borrowing FileDescriptor, _ object: String, at path: String) throws(BPFError) {
    let error = bpf_obj_pin(descriptor.rawValue, path)
    guard error != 0 else { return }
    throw BPFError(errno: error, operation: "pin", object: "\(object) at \(path)", hint: hint(path, errno: error))
  }

  /// The object pinned at `path`, of whatever type.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_GET`.
  static func open(_ path: String) throws(BPFError) -> FileDescriptor {
    let descriptor = bpf_obj_get(path)
    guard descriptor < 0 else { return FileDescriptor(owning: descriptor) }
    throw BPFError(
      errno: descriptor, operation: "open pinned", object: path, hint: hint(path, errno: descriptor))
  }

  /// What the state of the file system adds to the error number.
  package static func hint(_ path: String, errno error: Int32) -> String? {
    let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard access(folder, F_OK) == 0 else { return "there is no folder \(folder)" }
    guard contains(folder) else { return "\(folder) is not in a bpf file system: mount -t bpf bpf \(defaultMount)" }
    switch abs(error) {
    case EEXIST: return "something is pinned there: open or unpin it"
    case EPERM where path[folder.endIndex...].contains("."): return "a bpf file system takes no '.' in names"
    default: return nil
    }
  }
}
