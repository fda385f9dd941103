import BPF
import BPFTesting
import Testing

/// The layout of `struct event` in `sample.bpf.c`.
private struct Event: BitwiseCopyable, Sendable, Equatable {
  var number: UInt32
  var length: UInt32
}

@Suite(.requiresBPF, .timeLimit(.minutes(1))) struct RingBufferTests {
  /// The sample's ring, and a program that sends one event with its packet's mark, after one that it gives up.
  private struct Source: ~Copyable {
    let send: Program
    private let object: Object

    init() throws {
      let object = try Object.sample(programs: ["send_event"])
      send = try object.program(named: "send_event")
      self.object = object
    }

    func ring() throws -> RingBuffer { try RingBuffer(try object.mapDescriptor(named: "events"), name: "events") }

    /// Sends an event; `false` if the ring is full.
    @discardableResult
    func emit(_ number: UInt32) throws -> Bool {
      try send.testRun(packet, context: SocketBufferContext(mark: number)).returnValue == 0
    }
  }

  @Test func drainSeesEventsInOrderAndPassesOverDiscardedOnes() throws {
    let source = try Source()
    var ring = try source.ring()
    for number in 1...5 { try source.emit(UInt32(number)) }
    var seen: [Event] = []
    #expect(ring.drain(upTo: 3) { seen.append($0.unsafeLoadUnaligned(as: Event.self)) } == 3)
    #expect(ring.drain(upTo: 100) { seen.append($0.unsafeLoadUnaligned(as: Event.self)) } == 2)
    #expect(seen.map(\.number) == [1, 2, 3, 4, 5] && seen.allSatisfy { $0.length == 64 })
    #expect(ring.drain(upTo: 1) { _ in } == 0)
  }

  @Test func fillLevelRisesAndFalls() throws {
    let source = try Source()
    var ring = try source.ring()
    #expect(ring.capacity == 4096 && ring.fill == 0)
    try source.emit(1)
    #expect(ring.fill == 32)
    ring.drain(upTo: 1) { _ in }
    #expect(ring.fill == 0)
  }

  @Test func fullRingRefusesAndRecoversManyTimes() throws {
    let source = try Source()
    var ring = try source.ring()
    var received = 0
    for round in 0..<5 {
      var sent = 0
      while try source.emit(UInt32(round)) { sent += 1 }
      #expect(sent > 100)
      received = ring.drain(upTo: .max) { _ in }
      #expect(received == sent)
    }
  }

  @Test func waitEndsByEventOrTime() throws {
    let source = try Source()
    var ring = try source.ring()
    #expect(try !ring.wait(for: .milliseconds(1)))
    try source.emit(1)
    #expect(try ring.wait(for: .seconds(10)))
  }

  @Test func errorInTheBodyConsumesItsRecord() throws {
    struct Stop: Error {}
    let source = try Source()
    var ring = try source.ring()
    try source.emit(1)
    try source.emit(2)
    #expect(throws: Stop.self) { try ring.drain(upTo: 5) { _ throws(Stop) in throw Stop() } }
    var left: [UInt32] = []
    ring.drain(upTo: 5) { left.append($0.unsafeLoadUnaligned(as: Event.self).number) }
    #expect(left == [2])
  }

  @Test func otherMapIsNotARing() throws {
    let map = try ArrayMap<UInt32>(name: "array", capacity: 1)
    let error = try #require(throws: BPFError.self) {
      _ = try RingBuffer(map.raw.descriptor.duplicate(), name: "array").fill
    }
    #expect(error.kind == .invalid && error.hint == "its type is array, not ringbuf")
  }

  @Test func eventsArriveWhileAwaited() async throws {
    let source = try Source()
    let events = try source.ring().events(as: Event.self)
    let reading = Task {
      var numbers: [UInt32] = []
      for try await event in events {
        numbers.append(event.number)
        if numbers.count == 300 { break }
      }
      return numbers
    }
    for number in 0..<300 {
      while try !source.emit(UInt32(number)) { await Task.yield() }
      // Let the reader fall asleep now and then.
      if number % 50 == 0 { try await Task.sleep(for: .milliseconds(5)) }
    }
    #expect(try await reading.value == Array(0..<300))
  }

  @Test func cancellationEndsTheSequenceAndLosesNothing() async throws {
    let source = try Source()
    let events = try source.ring().events(as: Event.self)
    let reading = Task {
      var count = 0
      for try await _ in events { count += 1 }
      return count
    }
    try await Task.sleep(for: .milliseconds(20))
    reading.cancel()
    #expect(try await reading.value == 0)
    try source.emit(8)
    var iterator = events.makeAsyncIterator()
    #expect(try await iterator.next()?.number == 8)
  }

  @Test func shortRecordIsALayoutError() async throws {
    let source = try Source()
    let events = try source.ring().events(as: (UInt64, UInt64, UInt64).self)
    try source.emit(1)
    var iterator = events.makeAsyncIterator()
    let error = await #expect(throws: BPFError.self) { _ = try await iterator.next() }
    #expect(error?.kind == .layout && error?.hint?.hasPrefix("a record has 8 bytes") == true)
  }
}
