/// The ring through which programs send records to user space (`BPF_MAP_TYPE_RINGBUF`): the map itself, without a
/// reader. Linux 5.8.
///
/// ```swift
/// let events = try RingBufferMap(name: "events", size: 256 * 1_024)
/// ```
///
/// All processors write into one ring, in order; a program whose record does not fit is told so and must count the loss.
/// One reader consumes it, through memory and without system calls. Choose the size for the longest pause of the reader.
public struct RingBufferMap: ~Copyable, KernelMap {
  /// The map as bytes.
  public let raw: RawMap
  /// A ring has neither keys nor values.
  public static var shape: MapShape { MapShape(type: .ringBuffer, keySize: 0, valueSize: 0) }
  /// Takes over `raw` without a look at it.
  public init(unchecked raw: consuming RawMap) { self.raw = raw }

  /// Creates a ring.
  ///
  /// - Parameters:
  ///   - name: what tools show: at most 15 letters, digits, `_` and `.`.
  ///   - size: bytes of the ring: a power of two and a multiple of the page size.
  ///   - numaNode: the node whose memory is used; `nil` leaves it to the kernel.
  ///
  /// The corresponding C function is `bpf_map_create`.
  public init(name: String, size: Int, numaNode: Int? = nil) throws(BPFError) {
    try self.init(
      RawMap(
        creating: MapDefinition(
          type: .ringBuffer, name: name, keySize: 0, valueSize: 0, capacity: size, numaNode: numaNode)))
  }
}
