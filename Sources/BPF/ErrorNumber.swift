import CBPF
import Glibc

/// The error numbers of the kernel, their names, and what they say about a BPF call.
enum ErrorNumber {
  /// "Not supported", a number that the kernel should keep to itself but that bpf(2) returns.
  static let kernelNotSupported: Int32 = 524

  /// `EINVAL` for 22, `ENOTSUPP` for 524; the bare number if it has no name.
  static func name(_ number: Int32) -> String {
    // SAFETY: the function returns null or a string constant.
    guard let name = cbpf_error_name(number) else { return "errno \(number)" }
    return String(cString: name)
  }
}

extension BPFError {
  /// The name of ``errno``, such as `EINVAL`; `nil` if there is none.
  public var errnoName: String? { errno == 0 ? nil : ErrorNumber.name(errno) }

  /// What to do about an error number, as far as the machine's state tells.
  static func hint(errno number: Int32, feature: KernelFeature?) -> String? {
    switch number {
    case EPERM, EACCES:
      let missing = Capability.missing.map(\.name)
      if missing.isEmpty, number == EPERM, Capability.sysAdmin.isEffective == false { return wantsAdministrator }
      if missing.isEmpty { return number == EPERM ? refusedDespiteCapabilities : nil }
      return "missing \(missing.joined(separator: ", ")): run as root or grant it"
    case EINVAL, EOPNOTSUPP, ENOSYS, ErrorNumber.kernelNotSupported:
      return feature?.shortfall
    case LIBBPF_ERRNO__LIBELF.number, LIBBPF_ERRNO__FORMAT.number, LIBBPF_ERRNO__ENDIAN.number:
      return "it is no object file for BPF, or of the other byte order: compile it with clang -target bpf"
    case ENOMEM where (KernelVersion.running ?? KernelVersion(5, 11)) < KernelVersion(5, 11):
      return "before Linux 5.11 maps and programs count as locked memory: raise RLIMIT_MEMLOCK"
    default:
      return nil
    }
  }

  private static let wantsAdministrator =
    "objects by id, and names of types, take CAP_SYS_ADMIN, which is missing: run as root or grant it"

  private static let refusedDespiteCapabilities =
    "no capability is missing: look for a security module, kernel lockdown, a seccomp filter or a user namespace"
}

extension libbpf_errno {
  fileprivate var number: Int32 { Int32(rawValue) }
}

extension BPFError.Kind {
  /// The class that an error number belongs to when nothing is known about the call.
  public init(errno: Int32) {
    switch errno {
    case EEXIST: self = .exists
    case ENOENT, ENODEV, ESRCH, ENXIO: self = .notFound
    case E2BIG, ENOSPC: self = .full
    case EPERM, EACCES: self = .permission
    case EOPNOTSUPP, ENOSYS, ErrorNumber.kernelNotSupported: self = .unsupported
    case EINVAL, LIBBPF_ERRNO__LIBELF.number, LIBBPF_ERRNO__FORMAT.number, LIBBPF_ERRNO__ENDIAN.number: self = .invalid
    case ESTALE: self = .stale
    case EBUSY, EAGAIN: self = .busy
    case ENOMEM: self = .outOfMemory
    default: self = .system
    }
  }
}
