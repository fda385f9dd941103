import CBPF
import Glibc

extension Probe {
  /// Whether maps of `type` can be created.
  public static func mapType(_ type: MapType) -> Probe {
    Probe(KernelFeature("\(type) maps", since: type.since)) {
      guard let shape = ProbeMapShape.smallest(type) else {
        return .impossible("maps of type \(type) need type information")
      }
      return create(type, shape)
    }
  }

  /// Memory shared between programs and user space.
  public static let arena = Probe(.arena) { mapType(.arena).attempt() }

  private static func create(_ type: MapType, _ shape: ProbeMapShape) -> Outcome {
    var options = bpf_map_create_opts()
    options.sz = MemoryLayout<bpf_map_create_opts>.size
    options.map_flags = shape.flags
    var inner: FileDescriptor?
    if shape.isOfMaps {
      let number = bpf_map_create(BPF_MAP_TYPE_ARRAY, "probe_inner", 4, 4, 1, nil)
      guard number >= 0 else { return outcome(number, type) }
      inner = FileDescriptor(owning: number)
      options.inner_map_fd = UInt32(number)
    }
    let number = bpf_map_create(
      bpf_map_type(rawValue: type.rawValue), "probe", shape.keySize, shape.valueSize, shape.maxEntries, &options)
    _ = inner.take()
    guard number >= 0 else { return outcome(number, type) }
    _ = FileDescriptor(owning: number)
    return .available
  }

  private static func outcome(_ error: Int32, _ type: MapType) -> Outcome {
    switch abs(error) {
    case EINVAL, EOPNOTSUPP, ErrorNumber.kernelNotSupported: .unavailable
    default: .inconclusive(BPFError(errno: error, operation: "create", object: "map of type \(type)"))
    }
  }
}

/// How to create a map of some type.
private struct ProbeMapShape {
  var keySize: UInt32 = 4
  var valueSize: UInt32 = 4
  var maxEntries: UInt32 = 1
  var flags: UInt32 = 0
  var isOfMaps = false

  /// The smallest that a kernel with the type accepts; `nil` for types that cannot be created without type information.
  static func smallest(_ type: MapType) -> ProbeMapShape? {
    switch type {
    case .socketStorage, .cgroupStorage: nil
    case .lpmTrie: ProbeMapShape(keySize: 8, flags: UInt32(BPF_F_NO_PREALLOC))
    case .queue, .stack, .bloomFilter: ProbeMapShape(keySize: 0)
    case .ringBuffer, .userRingBuffer: ProbeMapShape(keySize: 0, valueSize: 0, maxEntries: UInt32(getpagesize()))
    case .arena: ProbeMapShape(keySize: 0, valueSize: 0, flags: UInt32(BPF_F_MMAPABLE))
    case .arrayOfMaps, .hashOfMaps: ProbeMapShape(isOfMaps: true)
    default: ProbeMapShape()
    }
  }
}
