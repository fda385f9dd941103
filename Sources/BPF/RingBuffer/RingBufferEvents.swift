import Synchronization

/// The records of a ring buffer as typed events.
///
/// ```swift
/// for try await event in try ring.events(as: drop_event.self) { report(event) }
/// ```
///
/// Each `next` takes one record out of the ring, and the task sleeps while it is empty. Nothing is buffered in between:
/// what nobody asks for stays in the ring, and what does not fit there the program loses and counts. The sequence ends
/// when the task is cancelled; an event that was taken is always delivered. Iterators share the ring: each event goes
/// to one of them.
///
/// Records may be longer than `Event`, so that programs can add members; a shorter one ends the sequence with
/// ``BPFError/Kind-swift.struct/layout``.
public struct RingBufferEvents<Event: BitwiseCopyable & Sendable>: AsyncSequence, Sendable {
  /// An event.
  public typealias Element = Event
  /// What a record of the wrong length makes.
  public typealias Failure = BPFError

  private let reader: RingBufferReader

  init(_ reader: RingBufferReader) { self.reader = reader }

  /// Bytes of the ring in use: what programs have sent and nobody has read.
  public var fill: Int { reader.fill }

  /// Takes one event after the other.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let reader: RingBufferReader

    /// The next event; `nil` once the task is cancelled.
    public mutating func next() async throws(BPFError) -> Event? {
      try await next(isolation: nil)
    }

    /// The next event; `nil` once the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(BPFError) -> Event? {
      while !Task.isCancelled {
        if let event = try reader.take(Event.self) { return event }
        await reader.readiness.wait()
      }
      return nil
    }
  }

  /// An iterator that shares the ring with the others.
  public func makeAsyncIterator() -> Iterator { Iterator(reader: reader) }
}

/// The one reader of a ring, shared by iterators.
final class RingBufferReader: Sendable {
  private let ring: Mutex<RingBuffer>
  private let name: String
  let readiness: DescriptorReadiness

  init(_ ring: consuming sending RingBuffer, readiness: DescriptorReadiness) {
    name = ring.name
    self.ring = Mutex(ring)
    self.readiness = readiness
  }

  var fill: Int { ring.withLock { $0.fill } }

  /// The next record as a copy; `nil` if there is none.
  func take<Event: BitwiseCopyable & Sendable>(_ type: Event.Type) throws(BPFError) -> Event? {
    let record = ring.withLock { ring in
      var record: Result<Event, BPFError>?
      ring.drain(upTo: 1) { record = Self.read($0, as: Event.self, name: name) }
      return record
    }
    return try record?.get()
  }

  private static func read<Event: BitwiseCopyable>(
    _ record: RawSpan, as type: Event.Type, name: String
  ) -> Result<Event, BPFError> {
    guard record.byteCount >= MemoryLayout<Event>.size else {
      return .failure(
        BPFError(
          .layout, operation: "read event of", object: "map \(name)",
          hint: "a record has \(record.byteCount) bytes and \(Event.self) has \(MemoryLayout<Event>.size)"))
    }
    // SAFETY: the record is long enough, and any bytes are a valid value of a C struct without pointers.
    return .success(record.unsafeLoadUnaligned(as: Event.self))
  }
}
