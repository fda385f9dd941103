import CBPF
import Glibc

extension Probe {
  /// Ordered lists of programs at traffic control.
  public static let tcx = Probe(.tcx) { hook(CBPF_TCX_INGRESS) }

  /// Pairs of devices made for BPF.
  public static let netkit = Probe(.netkit) { hook(CBPF_NETKIT_PRIMARY) }

  /// Asks what is attached to an interface that does not exist: a kernel with the hook misses the interface, one
  /// without it the hook. Nothing is created.
  private static func hook(_ attachType: UInt32) -> Outcome {
    var count: UInt32 = 0
    var revision: UInt64 = 0
    let error = cbpf_program_query(UInt32(Int32.max), attachType, nil, nil, &count, &revision)
    switch abs(error) {
    case 0, ENODEV: return .available
    case EINVAL: return .unavailable
    default: return .inconclusive(BPFError(errno: error, operation: "query", object: "attach type \(attachType)"))
    }
  }
}
