import CBPF

/// Where on the receive path an XDP program runs.
public enum XDPMode: String, CaseIterable, Hashable, Sendable {
  /// In the driver if it can, else generic.
  case automatic
  /// In the driver; fails if the driver cannot.
  case driver
  /// After the kernel has made a socket buffer: any interface, less speed.
  case generic
  /// In the network card.
  case hardware

  /// `XDP_FLAGS_…_MODE` of <linux/if_link.h>.
  var flags: UInt32 {
    switch self {
    case .automatic: 0
    case .generic: 1 << 1
    case .driver: 1 << 2
    case .hardware: 1 << 3
    }
  }
}
