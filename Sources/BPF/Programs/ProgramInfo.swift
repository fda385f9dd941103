import CBPF

/// What the kernel says of a program (`struct bpf_prog_info`).
public struct ProgramInfo: Sendable, Equatable {
  /// The number by which ``LoadedObjects`` finds it.
  public let id: UInt32
  /// The name, which the kernel cuts to 15 characters.
  public let name: String
  /// What kind of program it is.
  public let type: ProgramType
  /// A hash of its instructions, in hexadecimal digits: the same for the same program.
  public let tag: String
  /// Bytes of its instructions after the verifier has rewritten them.
  public let translatedSize: Int
  /// Bytes of machine code; 0 where the compiler in the kernel is off.
  public let machineCodeSize: Int
  /// Instructions that the verifier walked through before it was content. Linux 5.16.
  public let verifiedInstructions: Int
  /// The ids of the maps that it uses.
  public let mapIDs: [UInt32]
  /// Nanoseconds since boot at which it was loaded.
  public let loadTime: UInt64
  /// Total nanoseconds of all its runs; counted only while `kernel.bpf_stats_enabled` is 1.
  public let runTime: UInt64
  /// How often it has run; counted likewise.
  public let runCount: UInt64
  /// How often the kernel did not run it because it was running already on that processor.
  public let recursionMisses: UInt64
  /// The id of its type information; 0 if it has none.
  public let btfID: UInt32

  /// Asks the kernel about the program behind `descriptor`.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_GET_INFO_BY_FD`.
  public init(of descriptor: borrowing FileDescriptor) throws(BPFError) {
    var count = bpf_prog_info()
    try readObjectInfo(of: descriptor, into: &count, kind: .program)
    // A second call, because the array must be there before the kernel can fill it.
    var ids = [UInt32](repeating: 0, count: Int(count.nr_map_ids))
    var info = bpf_prog_info()
    info.nr_map_ids = count.nr_map_ids
    let failure: BPFError? = ids.withUnsafeMutableBufferPointer { ids in
      info.map_ids = UInt64(UInt(bitPattern: ids.baseAddress))
      do throws(BPFError) {
        try readObjectInfo(of: descriptor, into: &info, kind: .program)
        return nil
      } catch { return error }
    }
    if let failure { throw failure }
    self.init(info, mapIDs: ids)
  }

  private init(_ info: bpf_prog_info, mapIDs: [UInt32]) {
    id = info.id
    name = text(info.name)
    type = ProgramType(rawValue: info.type)
    tag = withUnsafeBytes(of: info.tag) { $0.map(Self.hexadecimal).joined() }
    translatedSize = Int(info.xlated_prog_len)
    machineCodeSize = Int(info.jited_prog_len)
    verifiedInstructions = Int(info.verified_insns)
    self.mapIDs = mapIDs
    loadTime = info.load_time
    runTime = info.run_time_ns
    runCount = info.run_cnt
    recursionMisses = info.recursion_misses
    btfID = info.btf_id
  }

  private static func hexadecimal(_ byte: UInt8) -> String {
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }
}
