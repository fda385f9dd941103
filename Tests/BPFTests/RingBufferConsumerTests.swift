@testable import BPF
import Testing

/// The reader on a ring that the test writes, as the kernel would.
@Suite struct RingBufferConsumerTests {
  private final class Ring {
    static let capacity = 64
    let positions = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 8)
    let data = UnsafeMutableRawPointer.allocate(byteCount: 2 * capacity, alignment: 8)
    private(set) var written = 0

    init(startingAt position: Int = 0) {
      positions.initializeMemory(as: UInt64.self, repeating: UInt64(position), count: 2)
      data.initializeMemory(as: UInt8.self, repeating: 0, count: 2 * Self.capacity)
      written = position
    }

    deinit {
      positions.deallocate()
      data.deallocate()
    }

    var fill: Int { withExtendedLifetime(self) { consumer.fill } }

    /// The next step of a reader, and the bytes of the record it met.
    func read() -> (RingBufferConsumer.Step, [UInt8]) {
      withExtendedLifetime(self) {
        var bytes: [UInt8] = []
        let step = consumer.next { span in span.withUnsafeBytes { bytes = Array($0) } }
        return (step, bytes)
      }
    }

    private var consumer: RingBufferConsumer {
      RingBufferConsumer(
        consumerPosition: positions, producerPosition: UnsafeRawPointer(positions + 8), data: UnsafeRawPointer(data),
        capacity: Self.capacity)
    }

    /// Writes both images of a byte, as the double mapping does.
    private func put(_ byte: UInt8, at position: Int) {
      let place = position % Self.capacity
      data.storeBytes(of: byte, toByteOffset: place, as: UInt8.self)
      data.storeBytes(of: byte, toByteOffset: place + Self.capacity, as: UInt8.self)
    }

    func setHeader(_ word: UInt32, at position: Int) {
      for byte in 0..<4 { put(UInt8(truncatingIfNeeded: word >> (8 * byte)), at: position + byte) }
    }

    @discardableResult
    func write(_ bytes: [UInt8], flags: UInt32 = 0) -> Int {
      let start = written
      setHeader(UInt32(bytes.count) | flags, at: start)
      for (index, byte) in bytes.enumerated() { put(byte, at: start + 8 + index) }
      written += (8 + bytes.count + 7) & ~7
      positions.storeBytes(of: UInt64(written), toByteOffset: 8, as: UInt64.self)
      return start
    }
  }

  @Test func emptyRingHasNothing() { #expect(Ring().read().0 == .empty) }

  @Test func busyRecordHoldsUpThoseBehindIt() {
    let ring = Ring()
    let busy = ring.write([1, 2, 3], flags: 1 << 31)
    ring.write([4])
    #expect(ring.read().0 == .empty)
    ring.setHeader(3, at: busy)
    #expect(ring.read() == (.record, [1, 2, 3]))
    #expect(ring.read() == (.record, [4]))
    #expect(ring.fill == 0)
  }

  @Test func discardedRecordGivesItsRoomBack() {
    let ring = Ring()
    ring.write([9, 9, 9], flags: 1 << 30)
    ring.write([4])
    #expect(ring.read() == (.skipped, []))
    #expect(ring.read() == (.record, [4]))
    #expect(ring.read().0 == .empty)
  }

  @Test func recordAcrossTheEndIsWhole() {
    let ring = Ring(startingAt: 48)
    let bytes = (0..<24).map { UInt8($0) }
    ring.write(bytes)
    #expect(ring.fill == 32)
    #expect(ring.read() == (.record, bytes))
  }
}
