import BPF
import Glibc
import MartletNetworking

/// A client of an ``EchoServer``: one socket in a namespace, with every wait bounded.
///
/// Keep it to ask again over the same connection, and to see whether that survives a change in between.
public final class EchoConnection: Sendable {
  private let socket: FileDescriptor
  private let number: L4Protocol
  private let destination: SocketAddress
  private let isConnected: Bool
  /// How connecting failed, if it did.
  private let failure: EchoOutcome?

  /// Opens a socket and, unless told otherwise, connects it. How that ended is what ``exchange(byteCount:)`` returns;
  /// what throws is a fault of the test, such as an address that is not there to bind to.
  ///
  /// - Parameters:
  ///   - number: TCP or UDP.
  ///   - destination: whom to ask.
  ///   - source: whom to ask as; by default the kernel chooses.
  ///   - cgroup: the cgroup that the socket belongs to.
  ///   - isConnected: `false` sends UDP by `sendto` and takes a reply from anyone.
  ///   - timeout: for connecting, and for each reply.
  public init(
    _ number: L4Protocol, to destination: SocketAddress, from source: SocketAddress? = nil,
    in namespace: NetworkNamespace, cgroup: TemporaryCgroup? = nil, isConnected: Bool = true,
    timeout: Duration = .seconds(1)
  ) throws {
    precondition(isConnected || number == .udp, "\(number) has to connect")
    self.number = number
    self.destination = destination
    self.isConnected = isConnected
    let socket = try namespace.run(in: cgroup) { try Self.open(number, destination, from: source, timeout) }
    let raw = socket.rawValue
    let isRefused = isConnected && destination.withRaw { connect(raw, $0, $1) } != 0
    failure = isRefused ? EchoOutcome(errno: errno) : nil
    self.socket = socket
  }

  private static func open(
    _ number: L4Protocol, _ destination: SocketAddress, from source: SocketAddress?, _ timeout: Duration
  ) throws(BPFError) -> FileDescriptor {
    let socket = try Socket.open(domain: destination.domain, number)
    let milliseconds = Int(timeout.milliseconds)
    let limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
    try Socket.set(socket, SOL_SOCKET, SO_RCVTIMEO, limit)
    try Socket.set(socket, SOL_SOCKET, SO_SNDTIMEO, limit)
    if let source {
      try Socket.set(socket, SOL_SOCKET, SO_REUSEADDR, Int32(1))
      try Socket.bind(socket, to: source)
    }
    return socket
  }

  /// The socket's own address, as the client's kernel has it.
  public var localAddress: SocketAddress? { Socket.localAddress(socket.rawValue) }
  /// The other side's address, as the client's kernel has it; `nil` without a connection.
  public var peerAddress: SocketAddress? { Socket.peerAddress(socket.rawValue) }

  /// Asks, and waits for the answer.
  ///
  /// - Parameter byteCount: the length of the request, which the reply reports.
  public func exchange(byteCount: Int = 1) -> EchoOutcome { exchangeWithSource(byteCount: byteCount).outcome }

  /// Asks, waits for the answer, and tells where it came from.
  public func exchangeWithSource(byteCount: Int = 1) -> (outcome: EchoOutcome, source: SocketAddress?) {
    if let failure { return (failure, nil) }
    var request = [UInt8](repeating: UInt8(ascii: "x"), count: byteCount)
    if number == .tcp && byteCount > 0 { request[byteCount - 1] = UInt8(ascii: "\n") }
    if let error = send(request) { return (EchoOutcome(errno: error), nil) }
    return receive()
  }

  private func send(_ request: [UInt8]) -> Int32? {
    if isConnected { return Socket.send(socket.rawValue, request) }
    // SAFETY: the request and the address outlive the call and their lengths are passed.
    let count = destination.withRaw { sendto(socket.rawValue, request, request.count, 0, $0, $1) }
    return count < 0 ? errno : nil
  }

  private func receive() -> (EchoOutcome, SocketAddress?) {
    var line: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    let capacity = buffer.count
    while line.last != UInt8(ascii: "\n") {
      var count = 0
      // SAFETY: the buffer outlives the call and its length is passed.
      let source = SocketAddress.read {
        count = recvfrom(socket.rawValue, &buffer, capacity, 0, $0, $1)
        return count < 0 ? -1 : 0
      }
      if count < 0 { return (EchoOutcome(errno: errno), nil) }
      if count == 0 { return (.closed, nil) }
      line += buffer[..<count]
      if number == .udp { return (Self.outcome(line), source) }
    }
    return (Self.outcome(line), peerAddress)
  }

  private static func outcome(_ line: [UInt8]) -> EchoOutcome {
    EchoReply(line: String(decoding: line, as: UTF8.self)).map { .reply($0) } ?? .failed(errno: 0)
  }
}

extension EchoOutcome {
  init(errno number: Int32) {
    switch number {
    case ECONNREFUSED: self = .refused
    case ECONNRESET, EPIPE: self = .reset
    // A socket with a time limit reports it by EAGAIN, in connect by EINPROGRESS.
    case EAGAIN, EINPROGRESS, ETIMEDOUT: self = .timedOut
    case ENETUNREACH, EHOSTUNREACH: self = .unreachable
    case EPERM, EACCES: self = .prohibited
    default: self = .failed(errno: number)
    }
  }
}
