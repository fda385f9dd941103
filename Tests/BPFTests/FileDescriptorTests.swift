import BPF
import Glibc
import Testing

@Suite struct FileDescriptorTests {
  private func isOpen(_ number: Int32) -> Bool { fcntl(number, F_GETFD) >= 0 }

  /// High numbers, so that tests in parallel do not take a number that was just closed.
  private func openHigh(_ lowest: Int32) throws -> FileDescriptor {
    let file = open("/dev/null", O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    let number = fcntl(file, F_DUPFD_CLOEXEC, lowest)
    try #require(number >= lowest)
    return FileDescriptor(owning: number)
  }

  @Test func closesAtTheEndOfItsScope() throws {
    let number: Int32
    do {
      let descriptor = try openHigh(700)
      number = descriptor.rawValue
      #expect(isOpen(number))
    }
    #expect(!isOpen(number))
  }

  @Test func releasedDescriptorStaysOpen() throws {
    let number = try openHigh(710).release()
    #expect(isOpen(number))
    close(number)
  }

  @Test func duplicateOutlivesItsOrigin() throws {
    func duplicate() throws -> FileDescriptor { try openHigh(720).duplicate() }
    let copy = try duplicate()
    #expect(isOpen(copy.rawValue))
    #expect(fcntl(copy.rawValue, F_GETFD) & FD_CLOEXEC != 0)
  }
}
