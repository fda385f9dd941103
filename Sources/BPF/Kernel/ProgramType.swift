import CBPF

/// What kind of program the kernel runs, and so what it may do and where it attaches (`enum bpf_prog_type`).
public struct ProgramType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The kernel's number.
  public let rawValue: UInt32
  /// The type with the kernel's number `rawValue`, known here or not.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  private init(_ type: bpf_prog_type) { rawValue = type.rawValue }

  /// `BPF_PROG_TYPE_SOCKET_FILTER`.
  public static let socketFilter = ProgramType(BPF_PROG_TYPE_SOCKET_FILTER)
  /// `BPF_PROG_TYPE_SCHED_CLS`: tcx, netkit and tc.
  public static let schedClassifier = ProgramType(BPF_PROG_TYPE_SCHED_CLS)
  /// `BPF_PROG_TYPE_XDP`.
  public static let xdp = ProgramType(BPF_PROG_TYPE_XDP)
  /// `BPF_PROG_TYPE_CGROUP_SKB`.
  public static let cgroupSocketBuffer = ProgramType(BPF_PROG_TYPE_CGROUP_SKB)
  /// `BPF_PROG_TYPE_CGROUP_SOCK`.
  public static let cgroupSocket = ProgramType(BPF_PROG_TYPE_CGROUP_SOCK)
  /// `BPF_PROG_TYPE_CGROUP_SOCK_ADDR`.
  public static let cgroupSocketAddress = ProgramType(BPF_PROG_TYPE_CGROUP_SOCK_ADDR)
  /// `BPF_PROG_TYPE_CGROUP_SOCKOPT`.
  public static let cgroupSocketOption = ProgramType(BPF_PROG_TYPE_CGROUP_SOCKOPT)
  /// `BPF_PROG_TYPE_SOCK_OPS`.
  public static let socketOperations = ProgramType(BPF_PROG_TYPE_SOCK_OPS)
  /// `BPF_PROG_TYPE_SK_SKB`.
  public static let socketStream = ProgramType(BPF_PROG_TYPE_SK_SKB)
  /// `BPF_PROG_TYPE_SK_MSG`.
  public static let socketMessage = ProgramType(BPF_PROG_TYPE_SK_MSG)
  /// `BPF_PROG_TYPE_SK_LOOKUP`. Linux 5.9.
  public static let socketLookup = ProgramType(BPF_PROG_TYPE_SK_LOOKUP)
  /// `BPF_PROG_TYPE_FLOW_DISSECTOR`.
  public static let flowDissector = ProgramType(BPF_PROG_TYPE_FLOW_DISSECTOR)
  /// `BPF_PROG_TYPE_KPROBE`.
  public static let kprobe = ProgramType(BPF_PROG_TYPE_KPROBE)
  /// `BPF_PROG_TYPE_TRACEPOINT`.
  public static let tracepoint = ProgramType(BPF_PROG_TYPE_TRACEPOINT)
  /// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
  public static let rawTracepoint = ProgramType(BPF_PROG_TYPE_RAW_TRACEPOINT)
  /// `BPF_PROG_TYPE_TRACING`: fentry, fexit, iterators.
  public static let tracing = ProgramType(BPF_PROG_TYPE_TRACING)
  /// `BPF_PROG_TYPE_LSM`.
  public static let securityModule = ProgramType(BPF_PROG_TYPE_LSM)
  /// `BPF_PROG_TYPE_EXT`: replaces a function of another program.
  public static let `extension` = ProgramType(BPF_PROG_TYPE_EXT)
  /// `BPF_PROG_TYPE_STRUCT_OPS`.
  public static let structOperations = ProgramType(BPF_PROG_TYPE_STRUCT_OPS)
  /// `BPF_PROG_TYPE_SYSCALL`: runs only by request. Linux 5.14.
  public static let syscall = ProgramType(BPF_PROG_TYPE_SYSCALL)
  /// `BPF_PROG_TYPE_NETFILTER`. Linux 6.4.
  public static let netfilter = ProgramType(rawValue: CBPF_PROG_TYPE_NETFILTER)

  /// The name as bpftool prints it, such as `sched_cls`; `type 40` for a number that is newer than this library.
  public var description: String {
    if self == .netfilter { return "netfilter" }
    // SAFETY: libbpf returns null or a string constant for every number.
    guard let name = libbpf_bpf_prog_type_str(bpf_prog_type(rawValue: rawValue)) else { return "type \(rawValue)" }
    return String(cString: name)
  }
}
