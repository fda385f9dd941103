import CBPF

/// One BPF instruction, for programs of a few lines: probes and tests. Everything longer belongs into a `.bpf.c` file.
///
/// ```swift
/// let pass = try Program(type: .xdp, name: "pass", instructions: [.move(.r0, 2), .exit])
/// ```
public struct Instruction: Sendable, Equatable {
  /// A register of the machine.
  public enum Register: UInt8, Sendable {
    /// The return value.
    case r0
    /// The first argument of a call; the context at entry.
    case r1
    /// The second argument.
    case r2
    /// The third argument.
    case r3
    /// The fourth argument.
    case r4
    /// The fifth argument.
    case r5
    /// Kept across calls.
    case r6
    /// Kept across calls.
    case r7
    /// Kept across calls.
    case r8
    /// Kept across calls.
    case r9
    /// The end of the stack, read only.
    case r10
  }

  /// The operation, its class and its operands' form.
  public let opcode: UInt8
  /// The register written to, or the base address of a store.
  public let destination: Register
  /// The register read from, or what a special instruction says.
  public let source: UInt8
  /// The offset of a memory access or jump.
  public let offset: Int16
  /// The constant operand.
  public let immediate: Int32

  /// An instruction by its fields.
  public init(
    opcode: Int32, destination: Register = .r0, source: UInt8 = 0, offset: Int16 = 0, immediate: Int32 = 0
  ) {
    self.opcode = UInt8(truncatingIfNeeded: opcode)
    self.destination = destination
    self.source = source
    self.offset = offset
    self.immediate = immediate
  }

  /// `destination = value`, sign-extended to 64 bits.
  public static func move(_ destination: Register, _ value: Int32) -> Instruction {
    Instruction(opcode: BPF_ALU64 | BPF_MOV | BPF_K, destination: destination, immediate: value)
  }

  /// `destination = source`.
  public static func move(_ destination: Register, _ source: Register) -> Instruction {
    Instruction(opcode: BPF_ALU64 | BPF_MOV | BPF_X, destination: destination, source: source.rawValue)
  }

  /// `destination += value`.
  public static func add(_ destination: Register, _ value: Int32) -> Instruction {
    Instruction(opcode: BPF_ALU64 | BPF_ADD | BPF_K, destination: destination, immediate: value)
  }

  /// `destination = *(u32 *)(source + offset)`.
  public static func load32(_ destination: Register, from source: Register, offset: Int16) -> Instruction {
    Instruction(
      opcode: BPF_LDX | BPF_MEM | BPF_W, destination: destination, source: source.rawValue, offset: offset)
  }

  /// `*(u32 *)(destination + offset) = source`.
  public static func store32(_ source: Register, to destination: Register, offset: Int16) -> Instruction {
    Instruction(
      opcode: BPF_STX | BPF_MEM | BPF_W, destination: destination, source: source.rawValue, offset: offset)
  }

  /// `*(u64 *)(destination + offset) = value`, sign-extended.
  public static func store64(_ value: Int32, to destination: Register, offset: Int16) -> Instruction {
    Instruction(opcode: BPF_ST | BPF_MEM | BPF_DW, destination: destination, offset: offset, immediate: value)
  }

  /// Calls the helper with the kernel's number `helper` (`enum bpf_func_id`).
  public static func call(helper: UInt32) -> Instruction {
    Instruction(opcode: BPF_JMP | BPF_CALL, immediate: Int32(bitPattern: helper))
  }

  /// Ends the program; `r0` is its verdict.
  public static let exit = Instruction(opcode: BPF_JMP | BPF_EXIT)

  /// The kernel's form.
  static func encode(_ instructions: [Instruction]) -> [bpf_insn] {
    instructions.map { instruction in
      var encoded = bpf_insn()
      encoded.code = instruction.opcode
      encoded.dst_reg = instruction.destination.rawValue
      encoded.src_reg = instruction.source
      encoded.off = instruction.offset
      encoded.imm = instruction.immediate
      return encoded
    }
  }
}
