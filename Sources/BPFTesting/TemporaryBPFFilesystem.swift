import BPF
import Glibc

/// A BPF file system of a test's own, mounted in a temporary folder.
///
/// Pins in it cannot collide with those of other tests or of the machine, and all go with it:
///
/// ```swift
/// let bpffs = try TemporaryBPFFilesystem()
/// try map.pin(to: bpffs.path + "/flows")
/// ```
///
/// It is unmounted when nothing refers to it any more. Needs `CAP_SYS_ADMIN`.
public final class TemporaryBPFFilesystem: Sendable {
  /// The folder where it is mounted.
  public let path: String

  /// Mounts a fresh instance.
  ///
  /// The corresponding C function is `mount` with the type `bpf`.
  public init() throws(BPFError) {
    let path = try makeTemporaryDirectory()
    do {
      try systemCall("mount", path) { mount("bpf", path, "bpf", UInt(MS_NOSUID | MS_NODEV | MS_NOEXEC), nil) }
    } catch {
      rmdir(path)
      throw error
    }
    self.path = path
  }

  deinit {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }
}
