import CBPF
import Glibc

/// The mappings of a ring buffer map: a writable page with the reader's position, and read-only the page with the
/// writers' position and twice the data.
///
/// SAFETY: sendable without the compiler's check, because the mappings are valid in every thread and have one owner, and
/// the positions in them are only accessed by atomic operations.
struct RingBufferMemory: ~Copyable, @unchecked Sendable {
  let consumer: RingBufferConsumer
  private let readerPage: SharedMapping
  private let rest: SharedMapping

  init(_ descriptor: borrowing FileDescriptor, capacity: Int, name: String) throws(BPFError) {
    let page = Int(getpagesize())
    let readerPage = try SharedMapping(descriptor, offset: 0, size: page, writable: true, name: name)
    let rest = try SharedMapping(descriptor, offset: page, size: page + 2 * capacity, writable: false, name: name)
    consumer = RingBufferConsumer(
      consumerPosition: readerPage.start, producerPosition: UnsafeRawPointer(rest.start),
      data: UnsafeRawPointer(rest.start) + page, capacity: capacity)
    self.readerPage = readerPage
    self.rest = rest
  }
}

/// A part of a map's memory, mapped for as long as this value lives.
private struct SharedMapping: ~Copyable {
  let start: UnsafeMutableRawPointer
  private let size: Int

  init(
    _ descriptor: borrowing FileDescriptor, offset: Int, size: Int, writable: Bool, name: String
  ) throws(BPFError) {
    let protection = writable ? PROT_READ | PROT_WRITE : PROT_READ
    let start = mmap(nil, size, protection, MAP_SHARED, descriptor.rawValue, offset)
    guard let start, start != MAP_FAILED else {
      throw BPFError(errno: errno, operation: "map memory of", object: "map \(name)")
    }
    self.start = start
    self.size = size
  }

  deinit { munmap(start, size) }
}
