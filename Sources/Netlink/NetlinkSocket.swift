import Synchronization

/// A conversation with the kernel about links, addresses, routes, rules and neighbours.
///
/// A socket belongs to the network namespace of the thread that creates it, for as long as it lives, whichever thread
/// uses it later.
///
/// ```swift
/// let netlink = try NetlinkSocket()
/// let route = try netlink.route(to: pod)          // as the kernel itself would send
/// for link in try netlink.links() where link.kind == .veth { print(link.name) }
/// ```
///
/// Calls are synchronous: rtnetlink answers within the system call, and waits for nothing but the kernel's own lock. One
/// request is under way at a time; others wait for it. So an actor can keep a socket and call it directly, and who
/// lists much may open a second one.
///
/// Listings are consistent: when a table changes while it is listed, the listing is discarded and made again. What
/// happens after is what ``NetlinkMonitor`` tells.
///
/// Reading needs no privilege, changing needs `CAP_NET_ADMIN` in the namespace. Needs Linux 4.20, for listings that the
/// kernel itself filters (`NETLINK_GET_STRICT_CHK`).
public final class NetlinkSocket: Sendable {
  private let conversation: Mutex<Conversation>

  /// Opens a socket in the network namespace of the calling thread.
  ///
  /// The corresponding C function is `socket` with `AF_NETLINK` and `NETLINK_ROUTE`.
  public convenience init() throws(NetlinkError) {
    try self.init(receiveCapacity: 32 << 10)
  }

  /// `receiveCapacity` is the size of the receive buffer to begin with; the kernel fills up to 32 KiB at a time.
  init(receiveCapacity: Int) throws(NetlinkError) {
    conversation = Mutex(Conversation(try SocketDescriptor.open(), receiveCapacity: receiveCapacity))
  }

  /// Asks for one object and returns what `decode` makes of the answer.
  func get<T: Sendable>(
    _ request: MessageBuilder, _ task: NetlinkTask, _ decode: (Message) -> T?
  ) throws(NetlinkError) -> T? {
    try list(request, flags: [.request, .acknowledge], task, decode).first
  }

  /// Lists all that the request asks for, as `decode` sees it; what it returns `nil` for is left out.
  func dump<T: Sendable>(
    _ request: MessageBuilder, _ task: NetlinkTask, _ decode: (Message) -> T?
  ) throws(NetlinkError) -> [T] {
    try list(request, flags: [.request, .dump], task, decode)
  }

  /// Asks for a change and waits for the kernel's acknowledgement.
  func change(_ request: MessageBuilder, flags: MessageFlags = [], _ task: NetlinkTask) throws(NetlinkError) {
    _ = try list(request, flags: flags.union([.request, .acknowledge]), task) { _ -> Bool? in nil }
  }

  private func list<T: Sendable>(
    _ request: MessageBuilder, flags: MessageFlags, _ task: NetlinkTask, _ decode: (Message) -> T?
  ) throws(NetlinkError) -> [T] {
    var request = request
    request.insert(flags)
    return try conversation.withLock { (conversation) throws(NetlinkError) -> [T] in
      try conversation.ask(request, task, decode)
    }
  }
}

/// The state of a socket between requests.
private struct Conversation: ~Copyable {
  /// How often a listing is made again before it is given up.
  private static let attempts = 32

  private let socket: SocketDescriptor
  private var buffer: [UInt8]
  private var sequence: UInt32 = 0

  init(_ socket: consuming SocketDescriptor, receiveCapacity: Int) {
    self.socket = socket
    buffer = Array(repeating: 0, count: receiveCapacity)
  }

  mutating func ask<T>(
    _ request: MessageBuilder, _ task: NetlinkTask, _ decode: (Message) -> T?
  ) throws(NetlinkError) -> [T] {
    for _ in 0..<Self.attempts {
      if let answer = try askOnce(request, task, decode) { return answer }
    }
    throw NetlinkError(
      .interrupted, operation: task.operation, object: task.object,
      hint: "it changed during each of \(Self.attempts) listings: try again later, or follow it with a NetlinkMonitor")
  }

  /// The answer, or `nil` if it is inconsistent.
  private mutating func askOnce<T>(
    _ request: MessageBuilder, _ task: NetlinkTask, _ decode: (Message) -> T?
  ) throws(NetlinkError) -> [T]? {
    sequence &+= 1
    try socket.send(request.finished(sequence: sequence), task)
    var reader = ReplyReader(sequence: sequence)
    var answer: [T] = []
    while true {
      let length = try socket.receive(into: &buffer, task)
      do throws(ReplyReader.Failure) {
        let progress = try reader.read(buffer[..<length]) { message in
          if let element = decode(message) { answer.append(element) }
        }
        if progress == .finished { return reader.isInterrupted ? nil : answer }
      } catch {
        throw NetlinkError(error, task)
      }
    }
  }
}

extension NetlinkError {
  fileprivate init(_ failure: ReplyReader.Failure, _ task: NetlinkTask) {
    switch failure {
    case .refused(let errno, let message): self.init(errno: errno, task, kernelMessage: message)
    case .malformed: self.init(.malformed, operation: task.operation, object: task.object)
    }
  }
}
