import BPFTesting
import Glibc
import MartletNetworking

/// A socket of a test, made in a namespace and cgroup, to which it belongs for life. No call waits longer than a second.
final class TestSocket: Sendable {
  enum Kind { case stream, datagram }

  /// The number of a failed call, and which call it was.
  struct Failure: Error, Equatable, CustomStringConvertible {
    var call: String
    var number: Int32
    var description: String { "\(call): \(String(cString: strerror(number)))" }
  }

  let descriptor: Int32
  let family: SocketFamily

  /// A socket of the calling thread's namespace and cgroup.
  convenience init(_ kind: Kind, _ family: SocketFamily) throws {
    let type = kind == .stream ? SOCK_STREAM : SOCK_DGRAM
    let domain = family == .ipv4 ? AF_INET : AF_INET6
    try self.init(
      owning: Self.check("socket", socket(domain, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)), family)
  }

  private init(owning descriptor: Int32, _ family: SocketFamily) throws {
    self.descriptor = descriptor
    self.family = family
    var limit = timeval(tv_sec: 1, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      // SAFETY: the call reads one structure.
      try Self.check(
        "setsockopt", setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size)))
    }
  }

  deinit { close(descriptor) }

  @discardableResult
  private static func check<Result: SignedInteger>(_ call: String, _ result: Result) throws -> Result {
    guard result >= 0 else { throw Failure(call: call, number: errno) }
    return result
  }

  func bind(_ address: SocketAddress) throws {
    var on: Int32 = 1
    // SAFETY: the call reads one integer.
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    try Self.check("bind", address.withPointer(family) { Glibc.bind(descriptor, $0, $1) })
  }

  func listen() throws { try Self.check("listen", Glibc.listen(descriptor, 16)) }

  /// The next connection, and who it says it comes from.
  func accept() throws -> (connection: TestSocket, from: SocketAddress?) {
    var number: Int32 = -1
    let from = SocketAddress.filled { address, size in
      number = Glibc.accept(descriptor, address, &size)
      return Int(number)
    }
    return (try TestSocket(owning: Self.check("accept", number), family), from)
  }

  func connect(_ address: SocketAddress) throws {
    try Self.check("connect", address.withPointer(family) { Glibc.connect(descriptor, $0, $1) })
  }

  /// Ends the socket's connection; it can make another.
  func disconnect() throws {
    var nobody = sockaddr()
    nobody.sa_family = sa_family_t(AF_UNSPEC)
    // SAFETY: the call reads one structure.
    try Self.check("disconnect", Glibc.connect(descriptor, &nobody, socklen_t(MemoryLayout<sockaddr>.size)))
  }

  var name: SocketAddress? { .filled { Int(getsockname(descriptor, $0, &$1)) } }
  var peerName: SocketAddress? { .filled { Int(getpeername(descriptor, $0, &$1)) } }

  func send(_ text: String, to address: SocketAddress? = nil) throws {
    let bytes = Array(text.utf8)
    if let address {
      try Self.check(
        "sendto",
        address.withPointer(family) { sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, $1) })
    } else {
      try Self.check("send", Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)))
    }
  }

  func receive() throws -> (text: String, from: SocketAddress?) {
    var buffer = [UInt8](repeating: 0, count: 512)
    var count = -1
    let from = SocketAddress.filled { address, size in
      count = recvfrom(descriptor, &buffer, buffer.count, 0, address, &size)
      return count
    }
    return (String(decoding: buffer.prefix(try Self.check("recvfrom", count)), as: UTF8.self), from)
  }

  /// Exactly `count` bytes of a stream.
  func receive(_ count: Int) throws -> String {
    var text = ""
    while text.utf8.count < count {
      let part = try receive().text
      if part.isEmpty { break }
      text += part
    }
    return text
  }

  /// Whether a datagram or connection arrives within a moment.
  func isReadable() throws -> Bool {
    var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    // SAFETY: one structure, which outlives the call.
    return try Self.check("poll", poll(&waiting, 1, 20)) > 0
  }
}
