import CBPF
import Glibc

/// The reading end of a ring buffer map: records that programs send to user space, in order.
///
/// A ring buffer has one reader at a time, and this value is it: it cannot be copied, and reading is mutating.
///
/// ```swift
/// var ring = try RingBuffer(try object.mapDescriptor(named: "events"), name: "events")
/// while !isEnding {
///   guard try ring.wait(for: .seconds(1)) else { continue }
///   ring.drain(upTo: 1024) { record in count += record.byteCount }
/// }
/// ```
///
/// For typed events in a task see ``events(as:)``. Programs that find the ring full lose their record: they must count
/// that themselves, since the ring does not.
///
/// Cost: a few nanoseconds a record and no system call in ``drain(upTo:_:)``. Linux 5.8.
public struct RingBuffer: ~Copyable, Sendable {
  private let descriptor: FileDescriptor
  private let memory: RingBufferMemory
  /// For messages: the map's name.
  let name: String

  /// Maps the ring of the map behind `descriptor`.
  ///
  /// Throws ``BPFError/Kind-swift.struct/invalid`` if the map is not a ring buffer.
  public init(_ descriptor: consuming FileDescriptor, name: String) throws(BPFError) {
    let info = try MapInfo(of: descriptor)
    guard info.type == .ringBuffer else {
      throw BPFError(
        .invalid, operation: "read", object: "map \(name)", hint: "its type is \(info.type), not \(MapType.ringBuffer)")
    }
    memory = try RingBufferMemory(descriptor, capacity: info.maxEntries, name: name)
    self.descriptor = descriptor
    self.name = name
  }

  /// Bytes of room, headers of eight bytes a record included.
  public var capacity: Int { memory.consumer.capacity }

  /// Bytes in use: what programs have sent and nobody has read.
  public var fill: Int { memory.consumer.fill }

  /// Hands up to `limit` records to `body`, oldest first; returns how many. Records that a program has reserved and
  /// not yet sent hold up those behind them; discarded ones are passed over.
  ///
  /// The span is only valid during the call: copy what you keep. If `body` throws, its record counts as read.
  @discardableResult
  public mutating func drain<Failure: Error>(
    upTo limit: Int, _ body: (RawSpan) throws(Failure) -> Void
  ) throws(Failure) -> Int {
    var count = 0
    while count < limit {
      switch try memory.consumer.next(body) {
      case .empty: return count
      case .skipped: continue
      case .record: count += 1
      }
    }
    return count
  }

  /// Blocks the thread until there is a record, or until `timeout` is over or a signal has come: `false` then.
  ///
  /// The corresponding C function is `poll`.
  public mutating func wait(for timeout: Duration) throws(BPFError) -> Bool {
    let (seconds, attoseconds) = timeout.components
    let milliseconds = seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    var request = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    let ready = poll(&request, 1, Int32(clamping: milliseconds))
    guard ready >= 0 || errno == EINTR else {
      throw BPFError(errno: errno, operation: "wait for", object: "map \(name)")
    }
    return ready > 0
  }

  /// A sequence of the records as copies of `Event`, to be awaited.
  public consuming func events<Event: BitwiseCopyable & Sendable>(
    as type: Event.Type
  ) throws(BPFError) -> RingBufferEvents<Event> {
    let readiness = DescriptorReadiness(try descriptor.duplicate())
    return RingBufferEvents(RingBufferReader(self, readiness: readiness))
  }
}
