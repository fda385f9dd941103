import MartletNetworking

/// What an ``EchoServer`` says of the request that it answers.
public struct EchoReply: Hashable, Sendable {
  /// The name of the server.
  public var server: String
  /// Whom the server saw as the sender: the client's address, unless somebody translated it.
  public var peer: SocketAddress
  /// Where the server was addressed, as it saw that.
  public var local: SocketAddress
  /// How many bytes it received.
  public var byteCount: Int

  /// The line that the server sends.
  var line: String { "\(server) \(peer) \(local) \(byteCount)\n" }

  init(server: String, peer: SocketAddress, local: SocketAddress, byteCount: Int) {
    self.server = server
    self.peer = peer
    self.local = local
    self.byteCount = byteCount
  }

  init?(line: some StringProtocol) {
    let words = line.split(whereSeparator: \.isWhitespace)
    guard words.count == 4, let peer = SocketAddress(words[1]), let local = SocketAddress(words[2]),
      let byteCount = Int(words[3])
    else { return nil }
    self.init(server: String(words[0]), peer: peer, local: local, byteCount: byteCount)
  }
}

/// How a request to an ``EchoServer`` ended.
public enum EchoOutcome: Hashable, Sendable {
  /// It was answered.
  case reply(EchoReply)
  /// Nobody listens there, or a rule says so at once (`ECONNREFUSED`).
  case refused
  /// The connection was reset (`ECONNRESET`, `EPIPE`).
  case reset
  /// Nothing came back in time.
  case timedOut
  /// The other side closed the connection without an answer.
  case closed
  /// There is no way to the address (`ENETUNREACH`, `EHOSTUNREACH`).
  case unreachable
  /// A rule forbids it (`EPERM`, `EACCES`).
  case prohibited
  /// Anything else, by error number; 0 for an answer that makes no sense.
  case failed(errno: Int32)

  /// The reply, if there is one.
  public var reply: EchoReply? { if case .reply(let reply) = self { reply } else { nil } }
}
