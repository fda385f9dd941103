/// Reads the answer to one request out of the datagrams that arrive after it.
///
/// An answer is some messages and then an acknowledgement, or for a dump the message that ends it. Messages with
/// another sequence number belong to a request that was given up and are passed over.
struct ReplyReader {
  /// Why there is no answer.
  enum Failure: Error, Equatable {
    /// The kernel refused: the error number, positive, and its explanation.
    case refused(errno: Int32, message: String?)
    /// The bytes make no sense.
    case malformed
  }

  /// Whether more datagrams belong to the answer.
  enum Progress { case more, finished }

  /// The request's sequence number.
  let sequence: UInt32
  /// Whether the kernel said that the listing is inconsistent, because what it lists changed meanwhile. The answer
  /// must be read to its end all the same, or the next request meets `EBUSY`.
  private(set) var isInterrupted = false

  init(sequence: UInt32) { self.sequence = sequence }

  /// Reads one datagram, and hands each message of the answer proper to `body`.
  mutating func read(_ datagram: ArraySlice<UInt8>, _ body: (Message) -> Void) throws(Failure) -> Progress {
    guard let messages = Message.messages(in: datagram) else { throw .malformed }
    for message in messages where message.sequence == sequence {
      if message.flags.contains(.dumpInterrupted) { isInterrupted = true }
      switch message.type {
      case .error, .done:
        try Self.checkStatus(message)
        return .finished
      default:
        body(message)
      }
    }
    return .more
  }

  /// Throws the error that an error or done message reports. Both begin with the negative error number.
  private static func checkStatus(_ message: Message) throws(Failure) {
    guard let status = message.payload.load(Int32.self) else {
      // Before 4.x some dumps ended with an empty message.
      if message.type == .done { return }
      throw .malformed
    }
    if status < 0 { throw .refused(errno: -status, message: extendedMessage(message)) }
  }

  /// `NLMSGERR_ATTR_MSG`, which stands after the number and, in an error message, after (the header of) the request.
  private static func extendedMessage(_ message: Message) -> String? {
    guard message.flags.contains(.extendedAcknowledgement) else { return nil }
    var offset = MemoryLayout<Int32>.size
    if message.type == .error {
      guard let requestSize = message.payload.load(UInt32.self, at: offset).map(Int.init) else { return nil }
      offset += message.flags.contains(.capped) ? Message.headerSize : requestSize
    }
    let explanation: UInt16 = 1  // NLMSGERR_ATTR_MSG
    return message.attributes(after: offset).first { $0.type == explanation }?.text
  }
}
