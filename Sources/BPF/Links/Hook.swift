import CBPF
import Glibc

/// A place in the kernel that runs programs.
///
/// Interfaces are those of the calling thread's network namespace.
public enum Hook: Hashable, Sendable {
  /// Traffic control of the interface with this index, through its ordered list of programs. Linux 6.6.
  case tcx(TrafficDirection, interface: UInt32)
  /// The receive path of the interface with this index, before the kernel makes a socket buffer.
  case xdp(interface: UInt32)
  /// The sockets of the processes of a cgroup (version 2) and below; `path` is its folder.
  case cgroup(CgroupHook, path: String)
  /// The choice of a listening socket in a network namespace; `networkNamespace` is a path such as
  /// `/run/netns/NAME` or `/proc/self/ns/net`. Linux 5.9.
  case socketLookup(networkNamespace: String)

  /// The type of the programs that it runs.
  public var programType: ProgramType {
    switch self {
    case .tcx: .schedClassifier
    case .xdp: .xdp
    case .cgroup(let hook, _): hook.programType
    case .socketLookup: .socketLookup
    }
  }

  /// The kernel's `enum bpf_attach_type`.
  var attachType: UInt32 {
    switch self {
    case .tcx(.ingress, _): CBPF_TCX_INGRESS
    case .tcx(.egress, _): CBPF_TCX_EGRESS
    case .xdp: BPF_XDP.rawValue
    case .cgroup(let hook, _): hook.attachType.rawValue
    case .socketLookup: BPF_SK_LOOKUP.rawValue
    }
  }

  /// What the kernel must have for it.
  var feature: KernelFeature? {
    switch self {
    case .tcx: .tcx
    case .xdp: .xdpLink
    case .cgroup: .cgroupLink
    case .socketLookup: .socketLookup
    }
  }

  /// Calls `body` with the number by which the kernel knows the place: an interface's index, or a descriptor that is
  /// open during the call.
  func withTarget<Result>(_ body: (UInt32) -> Result) throws(BPFError) -> Result {
    switch self {
    case .tcx(_, let interface), .xdp(let interface):
      return body(interface)
    case .cgroup(_, let path), .socketLookup(let path):
      let number = Glibc.open(path, O_RDONLY | O_CLOEXEC)
      guard number >= 0 else { throw BPFError(errno: errno, operation: "open", object: path) }
      let descriptor = FileDescriptor(owning: number)
      return body(UInt32(descriptor.rawValue))
    }
  }
}

extension Hook: CustomStringConvertible {
  /// `tcx ingress of eth0`, `cgroup connect4 of /sys/fs/cgroup/a`.
  public var description: String {
    switch self {
    case .tcx(let direction, let interface): "tcx \(direction.rawValue) of \(Self.name(interface))"
    case .xdp(let interface): "xdp of \(Self.name(interface))"
    case .cgroup(let hook, let path): "cgroup \(hook.rawValue) of \(path)"
    case .socketLookup(let path): "socket lookup of \(path)"
    }
  }

  private static func name(_ interface: UInt32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(IF_NAMESIZE)) { buffer in
      // SAFETY: the buffer has the size that the function asks for; it returns the buffer or null.
      guard let start = buffer.baseAddress, let name = if_indextoname(interface, start) else {
        return "interface \(interface)"
      }
      return String(cString: name)
    }
  }
}
