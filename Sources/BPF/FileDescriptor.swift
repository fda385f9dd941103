import Glibc

/// The one owner of an open file descriptor: a map, program, link, BTF object or namespace.
///
/// The value cannot be copied; the descriptor is closed when it goes out of scope. What it refers to lives on in the
/// kernel for as long as anything else holds it: another descriptor, a pin, or an attachment.
public struct FileDescriptor: ~Copyable, Sendable {
  /// The number that system calls take. It is valid for as long as this value lives.
  public let rawValue: Int32

  /// Takes over `rawValue`, which must be open and have no other owner.
  public init(owning rawValue: Int32) { self.rawValue = rawValue }

  deinit { _ = Glibc.close(rawValue) }

  /// A second descriptor for the same kernel object, with an owner of its own. It is closed on `exec`.
  ///
  /// The corresponding C function is `fcntl` with `F_DUPFD_CLOEXEC`.
  public borrowing func duplicate() throws(BPFError) -> FileDescriptor {
    try FileDescriptor(duplicating: rawValue)
  }

  /// Gives the descriptor up without closing it: the caller closes it.
  public consuming func release() -> Int32 {
    let rawValue = rawValue
    discard self
    return rawValue
  }

  /// A descriptor for the kernel object that `rawValue` refers to; `rawValue` stays with its owner.
  init(duplicating rawValue: Int32) throws(BPFError) {
    // Not 0 to 2: a program that closed its standard streams must not print into a map.
    let copy = fcntl(rawValue, F_DUPFD_CLOEXEC, 3)
    guard copy >= 0 else {
      throw BPFError(errno: errno, operation: "duplicate", object: "file descriptor \(rawValue)")
    }
    self.rawValue = copy
  }
}
