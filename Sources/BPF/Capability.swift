import CBPF

/// A Linux capability that BPF operations ask for (capabilities(7)).
public enum Capability: Int32, CaseIterable, Sendable {
  /// `CAP_NET_ADMIN`: load networking programs, attach to interfaces and namespaces.
  case netAdmin = 12
  /// `CAP_SYS_ADMIN`: in place of `CAP_BPF` and `CAP_PERFMON`; objects by id; namespaces.
  case sysAdmin = 21
  /// `CAP_PERFMON`: tracing programs, reading kernel memory, pointers in the verifier's eyes. Linux 5.8.
  case perfmon = 38
  /// `CAP_BPF`: create maps, load programs. Linux 5.8.
  case bpf = 39

  /// The name as the kernel's headers and setcap(8) write it.
  public var name: String {
    switch self {
    case .netAdmin: "CAP_NET_ADMIN"
    case .sysAdmin: "CAP_SYS_ADMIN"
    case .perfmon: "CAP_PERFMON"
    case .bpf: "CAP_BPF"
    }
  }

  /// Whether the calling thread has it in its effective set; `nil` if that cannot be read.
  ///
  /// The corresponding C functions are `cap_get_proc` and `cap_get_flag` of libcap.
  public var isEffective: Bool? {
    switch cbpf_capability_is_effective(rawValue) {
    case 0: false
    case 1: true
    default: nil
    }
  }

  /// Those that the calling thread lacks for work with networking programs. `CAP_SYS_ADMIN` stands in for the two
  /// capabilities that were carved out of it.
  static var missing: [Capability] {
    let carved: [Capability] = sysAdmin.isEffective == true ? [] : [.bpf, .perfmon]
    return (carved + [.netAdmin]).filter { $0.isEffective == false }
  }
}
