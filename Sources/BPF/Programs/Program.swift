import CBPF

/// A program in the kernel.
///
/// The handle owns a descriptor and keeps the program loaded; so do each attachment and each pin. Attach it with
/// ``attach(to:)``, try it on a packet with ``testRun(_:)``.
public struct Program: ~Copyable, Sendable {
  /// The descriptor, for calls that this library does not wrap.
  public let descriptor: FileDescriptor
  /// The name of its function; the kernel's, cut to 15 characters, if it was found by pin or id.
  public let name: String
  /// What kind of program it is.
  public let type: ProgramType

  init(owning descriptor: consuming FileDescriptor, name: String, type: ProgramType) {
    self.descriptor = descriptor
    self.name = name
    self.type = type
  }

  /// Takes over the descriptor of a program; throws if it is not one.
  public init(owning descriptor: consuming FileDescriptor) throws(BPFError) {
    let info = try ProgramInfo(of: descriptor)
    self.init(owning: descriptor, name: info.name, type: info.type)
  }

  /// Loads a program that is given as instructions.
  ///
  /// The corresponding bpf(2) command is `BPF_PROG_LOAD`.
  ///
  /// - Parameters:
  ///   - name: letters, digits, `_` and `.`; the kernel keeps 15 of them.
  ///   - licence: helpers marked as GPL only need `GPL` or `Dual MIT/GPL` and the like.
  ///   - expectedAttachType: the kernel's `enum bpf_attach_type`, where the type asks for one.
  public init(
    type: ProgramType, name: String, instructions: [Instruction], licence: String = "Dual BSD/GPL",
    expectedAttachType: UInt32 = 0
  ) throws(BPFError) {
    let load = { (log: UnsafeMutablePointer<CChar>?, size: Int) in
      Instruction.encode(instructions).withUnsafeBufferPointer {
        cbpf_program_load(
          type.rawValue, expectedAttachType, name, licence, $0.baseAddress, $0.count, log, UInt32(size))
      }
    }
    var descriptor = load(nil, 0)
    let buffer = VerifierBuffer()
    if descriptor < 0 { descriptor = buffer.withMemory(load) }
    guard descriptor >= 0 else {
      let log = VerifierLog(verifier: buffer.text, program: name)
      var error = BPFError(errno: descriptor, operation: "load", object: "program \(name)", log: log)
      if log?.excerpt.isEmpty == false { error.kind = .rejected }
      throw error
    }
    self.init(owning: FileDescriptor(owning: descriptor), name: name, type: type)
  }

  /// Opens the program pinned at `path`.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_GET`.
  public init(pinnedAt path: String) throws(BPFError) {
    try self.init(owning: try BPFFileSystem.open(path))
  }

  /// Opens the program with the kernel's number `id`. Needs `CAP_SYS_ADMIN`.
  ///
  /// The corresponding bpf(2) command is `BPF_PROG_GET_FD_BY_ID`.
  public init(id: UInt32) throws(BPFError) {
    let descriptor = bpf_prog_get_fd_by_id(id)
    guard descriptor >= 0 else { throw BPFError(errno: descriptor, operation: "open", object: "program id \(id)") }
    try self.init(owning: FileDescriptor(owning: descriptor))
  }

  /// What the kernel knows of it.
  public var info: ProgramInfo {
    get throws(BPFError) { try ProgramInfo(of: descriptor) }
  }

  /// Names the program with `path` in a bpf file system, which keeps it loaded until ``BPFFileSystem/unpin(_:)``.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_PIN`.
  public borrowing func pin(at path: String) throws(BPFError) {
    try BPFFileSystem.pin(descriptor, "program \(name)", at: path)
  }

  /// A second handle of the same program.
  public borrowing func duplicate() throws(BPFError) -> Program {
    Program(owning: try descriptor.duplicate(), name: name, type: type)
  }
}
