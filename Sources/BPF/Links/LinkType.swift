import CBPF

/// What kind of attachment a link is (`enum bpf_link_type`).
public struct LinkType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The kernel's number.
  public let rawValue: UInt32
  /// The type with the kernel's number `rawValue`, known here or not.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  private init(_ type: bpf_link_type) { rawValue = type.rawValue }

  /// `BPF_LINK_TYPE_RAW_TRACEPOINT`.
  public static let rawTracepoint = LinkType(BPF_LINK_TYPE_RAW_TRACEPOINT)
  /// `BPF_LINK_TYPE_TRACING`.
  public static let tracing = LinkType(BPF_LINK_TYPE_TRACING)
  /// `BPF_LINK_TYPE_CGROUP`.
  public static let cgroup = LinkType(BPF_LINK_TYPE_CGROUP)
  /// `BPF_LINK_TYPE_NETNS`: socket lookup and flow dissector.
  public static let networkNamespace = LinkType(BPF_LINK_TYPE_NETNS)
  /// `BPF_LINK_TYPE_XDP`.
  public static let xdp = LinkType(BPF_LINK_TYPE_XDP)
  /// `BPF_LINK_TYPE_PERF_EVENT`.
  public static let perfEvent = LinkType(BPF_LINK_TYPE_PERF_EVENT)
  /// `BPF_LINK_TYPE_NETFILTER`. Linux 6.4.
  public static let netfilter = LinkType(rawValue: CBPF_LINK_TYPE_NETFILTER)
  /// `BPF_LINK_TYPE_TCX`. Linux 6.6.
  public static let tcx = LinkType(rawValue: CBPF_LINK_TYPE_TCX)
  /// `BPF_LINK_TYPE_NETKIT`. Linux 6.7.
  public static let netkit = LinkType(rawValue: CBPF_LINK_TYPE_NETKIT)

  /// The name as bpftool prints it; `type 40` for a number that is newer than this library.
  public var description: String {
    switch self {
    case .netfilter: return "netfilter"
    case .tcx: return "tcx"
    case .netkit: return "netkit"
    default:
      // SAFETY: libbpf returns null or a string constant for every number.
      guard let name = libbpf_bpf_link_type_str(bpf_link_type(rawValue: rawValue)) else { return "type \(rawValue)" }
      return String(cString: name)
    }
  }
}
