import CBPF
import Glibc

/// A program's attachment to a hook.
///
/// The program stays attached for as long as this value, another descriptor, or a pin of the link exists:
///
/// ```swift
/// let link = try program.attach(to: .xdp(interface: eth0))
/// try link.pin(at: "/sys/fs/bpf/martlet/eth0")  // stays when the process ends
/// try link.update(to: newer)                    // no packet in between goes without a program
/// ```
///
/// `_ = try program.attach(…)` therefore attaches and detaches at once.
public struct Link: ~Copyable, Sendable {
  /// The descriptor, for calls that this library does not wrap.
  public let descriptor: FileDescriptor
  /// For messages: what is attached where.
  let label: String

  init(owning descriptor: consuming FileDescriptor, label: String) {
    self.descriptor = descriptor
    self.label = label
  }

  /// Takes over the descriptor of a link; throws if it is not one.
  public init(owning descriptor: consuming FileDescriptor) throws(BPFError) {
    let info = try LinkInfo(of: descriptor)
    self.init(owning: descriptor, label: "\(info.type) link \(info.id)")
  }

  /// Opens the link pinned at `path`.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_GET`.
  public init(pinnedAt path: String) throws(BPFError) {
    try self.init(owning: try BPFFileSystem.open(path))
  }

  /// Opens the link with the kernel's number `id`. Needs `CAP_SYS_ADMIN`.
  ///
  /// The corresponding bpf(2) command is `BPF_LINK_GET_FD_BY_ID`.
  public init(id: UInt32) throws(BPFError) {
    let descriptor = bpf_link_get_fd_by_id(id)
    guard descriptor >= 0 else { throw BPFError(errno: descriptor, operation: "open", object: "link id \(id)") }
    try self.init(owning: FileDescriptor(owning: descriptor))
  }

  /// What the kernel knows of it.
  public var info: LinkInfo {
    get throws(BPFError) { try LinkInfo(of: descriptor) }
  }

  /// Puts `program` in the place of the present one, in one step: each packet meets the one or the other.
  ///
  /// The corresponding bpf(2) command is `BPF_LINK_UPDATE`.
  public borrowing func update(to program: borrowing Program) throws(BPFError) {
    let error = bpf_link_update(descriptor.rawValue, program.descriptor.rawValue, nil)
    guard error == 0 else { throw updateError(error, program) }
  }

  /// Puts `program` in the place of `old`, and only of that: throws ``BPFError/Kind-swift.struct/stale`` if the link
  /// has come to hold another program.
  ///
  /// The corresponding bpf(2) command is `BPF_LINK_UPDATE` with `BPF_F_REPLACE`.
  public borrowing func update(
    to program: borrowing Program, replacing old: borrowing Program
  ) throws(BPFError) {
    var options = bpf_link_update_opts()
    options.sz = MemoryLayout<bpf_link_update_opts>.size
    options.flags = UInt32(BPF_F_REPLACE)
    options.old_prog_fd = UInt32(old.descriptor.rawValue)
    let error = bpf_link_update(descriptor.rawValue, program.descriptor.rawValue, &options)
    guard error == 0 else {
      var failure = updateError(error, program)
      // The kernel says EPERM for "the old program is another one".
      let current = try info.programID
      if current != (try old.info.id) {
        failure.kind = .stale
        failure.hint = "it holds \(Occupant.name(ofProgram: current))"
      }
      throw failure
    }
  }

  /// Names the link with `path` in a bpf file system, which keeps the program attached.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_PIN`.
  public borrowing func pin(at path: String) throws(BPFError) {
    try BPFFileSystem.pin(descriptor, label, at: path)
  }

  /// Detaches at once, whatever else holds the link: pins of it stay, without effect. Linux 5.9.
  ///
  /// Dropping the value detaches only when the last descriptor is gone, and a child process between `fork` and `exec`
  /// holds copies of all.
  ///
  /// The corresponding bpf(2) command is `BPF_LINK_DETACH`.
  public consuming func detach() throws(BPFError) {
    let error = bpf_link_detach(descriptor.rawValue)
    guard error == 0 else { throw BPFError(errno: error, operation: "detach", object: label) }
  }

  /// Leaves the program attached until the process ends: the descriptor stays open without an owner.
  public consuming func disown() { _ = descriptor.release() }

  private borrowing func updateError(_ error: Int32, _ program: borrowing Program) -> BPFError {
    let hint = error == -EINVAL ? "the program must have the type and attach type of the present one" : nil
    return BPFError(errno: error, operation: "update", object: "\(label) to program \(program.name)", hint: hint)
  }
}
