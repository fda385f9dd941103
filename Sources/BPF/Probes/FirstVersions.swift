import CBPF

extension ProgramType {
  /// The first version of Linux that has the type; `nil` if this library does not know.
  var since: KernelVersion? {
    switch self {
    case .socketFilter: KernelVersion(3, 19)
    case .kprobe, .schedClassifier: KernelVersion(4, 1)
    case .tracepoint: KernelVersion(4, 7)
    case .xdp: KernelVersion(4, 8)
    case .cgroupSocketBuffer, .cgroupSocket: KernelVersion(4, 10)
    case .socketOperations: KernelVersion(4, 13)
    case .socketStream: KernelVersion(4, 14)
    case .socketMessage, .rawTracepoint, .cgroupSocketAddress: KernelVersion(4, 17)
    case .flowDissector: KernelVersion(4, 20)
    case .cgroupSocketOption: KernelVersion(5, 3)
    case .tracing: KernelVersion(5, 5)
    case .structOperations, .extension: KernelVersion(5, 6)
    case .securityModule: KernelVersion(5, 7)
    case .socketLookup: KernelVersion(5, 9)
    case .syscall: KernelVersion(5, 14)
    case .netfilter: KernelVersion(6, 4)
    default: nil
    }
  }

  /// An attach type that the kernel accepts for it; 0 where it takes any.
  var someAttachType: UInt32 {
    switch self {
    case .cgroupSocketAddress: BPF_CGROUP_INET4_CONNECT.rawValue
    case .cgroupSocketOption: BPF_CGROUP_GETSOCKOPT.rawValue
    case .socketLookup: BPF_SK_LOOKUP.rawValue
    case .netfilter: CBPF_NETFILTER
    default: 0
    }
  }
}

extension MapType {
  /// The first version of Linux that has the type; `nil` if this library does not know.
  var since: KernelVersion? {
    switch self {
    case .hash, .array: KernelVersion(3, 19)
    case .programArray: KernelVersion(4, 2)
    case .perCPUHash, .perCPUArray: KernelVersion(4, 6)
    case .lruHash, .lruPerCPUHash: KernelVersion(4, 10)
    case .lpmTrie: KernelVersion(4, 11)
    case .arrayOfMaps, .hashOfMaps: KernelVersion(4, 12)
    case .deviceMap, .socketMap: KernelVersion(4, 14)
    case .cpuMap: KernelVersion(4, 15)
    case .socketHash: KernelVersion(4, 18)
    case .queue, .stack: KernelVersion(4, 20)
    case .socketStorage: KernelVersion(5, 2)
    case .deviceHash: KernelVersion(5, 4)
    case .ringBuffer: KernelVersion(5, 8)
    case .bloomFilter: KernelVersion(5, 16)
    case .userRingBuffer: KernelVersion(6, 1)
    case .cgroupStorage: KernelVersion(6, 2)
    case .arena: KernelVersion(6, 9)
    default: nil
    }
  }
}
