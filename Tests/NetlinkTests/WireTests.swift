import Glibc
import Testing

@testable import Netlink

@Suite struct WireTests {
  /// An acknowledgement or refusal as the kernel builds it.
  private func status(
    _ type: MessageType, errno: Int32, sequence: UInt32, flags: MessageFlags = [], request: [UInt8]? = nil,
    explanation: String? = nil
  ) -> [UInt8] {
    var message = MessageBuilder(type, flags: flags)
    message.append(-errno)
    for byte in request ?? [] { message.append(byte) }
    if let explanation { message.attribute(1, string: explanation) }
    return message.finished(sequence: sequence)
  }

  private func failure(_ datagram: [UInt8]) -> ReplyReader.Failure? {
    var reader = ReplyReader(sequence: 7)
    do throws(ReplyReader.Failure) {
      _ = try reader.read(datagram[...]) { _ in }
      return nil
    } catch {
      return error
    }
  }

  @Test func answerEndsWithDoneAndSkipsOtherSequences() throws {
    let stale = MessageBuilder(.newLink).finished(sequence: 6)
    let first = MessageBuilder(.newLink, flags: .multipart).finished(sequence: 7)
    let second = MessageBuilder(.newRoute, flags: .multipart).finished(sequence: 7)
    var reader = ReplyReader(sequence: 7)
    var seen: [MessageType] = []
    #expect(try reader.read((stale + first)[...]) { seen.append($0.type) } == .more)
    let last = second + status(.done, errno: 0, sequence: 7, flags: .multipart)
    #expect(try reader.read(last[...]) { seen.append($0.type) } == .finished)
    #expect(seen == [.newLink, .newRoute])
    #expect(!reader.isInterrupted)
  }

  @Test(arguments: [MessageType.newLink, .done])
  func interruptionIsSeenInAnyMessage(_ type: MessageType) throws {
    var reader = ReplyReader(sequence: 7)
    _ = try reader.read(status(type, errno: 0, sequence: 7, flags: .dumpInterrupted)[...]) { _ in }
    #expect(reader.isInterrupted)
  }

  @Test func refusalCarriesTheKernelsExplanation() {
    let header = [UInt8](MessageBuilder(.newRoute).finished(sequence: 7))
    let capped = status(
      .error, errno: EINVAL, sequence: 7, flags: [.capped, .extendedAcknowledgement], request: header,
      explanation: "no such thing")
    #expect(failure(capped) == .refused(errno: EINVAL, message: "no such thing"))

    var long = MessageBuilder(.newRoute)
    long.attribute(5, bytes: [1, 2, 3])
    let full = status(
      .error, errno: EINVAL, sequence: 7, flags: .extendedAcknowledgement, request: long.finished(sequence: 7),
      explanation: "no such thing")
    #expect(failure(full) == .refused(errno: EINVAL, message: "no such thing"))

    let endOfDump = status(
      .done, errno: ENOENT, sequence: 7, flags: .extendedAcknowledgement, explanation: "no such table")
    #expect(failure(endOfDump) == .refused(errno: ENOENT, message: "no such table"))
    #expect(failure(status(.error, errno: EPERM, sequence: 7, request: header)) == .refused(errno: EPERM, message: nil))
  }

  @Test func contradictoryLengthsAreMalformed() {
    let good = MessageBuilder(.newLink).finished(sequence: 7)
    for length: UInt8 in [0, 15, 17, 255] {
      #expect(failure([length] + good.dropFirst()) == .malformed)
    }
    #expect(failure(Array(good.dropLast())) == .malformed)
    #expect(failure(good) == nil)
  }

  @Test func attributesEndWhereLengthsStopMakingSense() {
    var message = MessageBuilder(.newLink)
    message.attribute(3, string: "eth0")
    message.nested(18) { $0.attribute(1, UInt32(9)) }
    let bytes = message.finished(sequence: 1)
    let attributes = Array(Attributes(bytes[Message.headerSize...]))
    #expect(attributes.map(\.type) == [3, 18])
    #expect(attributes[0].text == "eth0")
    #expect(attributes[1].nested.first { $0.type == 1 }?.uint32 == 9)

    for cut in Message.headerSize..<bytes.count {
      #expect(Array(Attributes(bytes[Message.headerSize..<cut])).count == (cut < 25 ? 0 : 1))
    }
    #expect(Array(Attributes([2, 0, 1, 0])).isEmpty)
    #expect(Array(Attributes([8, 0, 1, 0, 1, 2])).isEmpty)
  }

  @Test func shortMessagesDescribeNothing() {
    for type in [MessageType.newLink, .newAddress, .newRoute, .newNeighbour] {
      for count in 0..<8 {
        var message = MessageBuilder(type)
        for _ in 0..<count { message.append(UInt8(AF_INET)) }
        let bytes = message.finished(sequence: 1)
        let messages = Message.messages(in: bytes[...])
        #expect(messages?.compactMap(NetlinkEvent.init) == [])
      }
    }
  }

  /// Such routes exist: some distributions make `::ffff:0:0/96` unreachable.
  @Test func ipv6RouteForMappedAddressesIsNotTakenForIPv4() {
    var message = MessageBuilder(.newRoute)
    RouteHeader(family: .ipv6, destinationLength: 96, action: .unreachable).encode(into: &message)
    message.attribute(RouteAttribute.destination, bytes: Array(repeating: 0, count: 10) + [255, 255, 0, 0, 0, 0])
    let bytes = message.finished(sequence: 1)
    #expect(Message.messages(in: bytes[...])?.compactMap(NetlinkEvent.init) == [])
  }
}
