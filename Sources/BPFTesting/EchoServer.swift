import BPF
import CBPFTesting
import Glibc
import MartletNetworking

/// A server that tells everyone who asks by what address it saw them.
///
/// ```swift
/// let server = try EchoServer("blue", .tcp, port: 8080, in: pod.namespace)
/// let reply = try EchoConnection(.tcp, to: SocketAddress(service, 80), in: client.namespace).exchange().reply
/// #expect(reply?.server == "blue")
/// #expect(reply?.peer.address == client.address)       // nobody translated the source
/// ```
///
/// It listens at every address of the namespace, of both families. Over TCP it answers each line; over UDP each
/// datagram, from the address that the datagram was sent to. It stops when nothing refers to it any more.
public final class EchoServer: Sendable {
  /// The name that it signs replies with.
  public let name: String
  /// The port that it listens on.
  public let port: UInt16

  private let wakeUp: FileDescriptor
  private let thread: pthread_t

  /// Starts a server.
  ///
  /// - Parameters:
  ///   - name: without blanks.
  ///   - number: TCP or UDP.
  ///   - port: 0 for one that is free.
  ///   - cgroup: the cgroup that its sockets belong to.
  public init(
    _ name: String, _ number: L4Protocol, port: UInt16 = 0, in namespace: NetworkNamespace,
    cgroup: TemporaryCgroup? = nil
  ) throws {
    precondition(!name.contains(where: \.isWhitespace) && !name.isEmpty, "a server's name is one word")
    let socket = try namespace.run(in: cgroup) { try Self.listen(number, port) }
    self.name = name
    self.port = Socket.localAddress(socket.rawValue)?.port ?? port
    wakeUp = FileDescriptor(owning: try systemCall("create", "event") { eventfd(0, Int32(EFD_CLOEXEC)) })
    thread = try Self.start(EchoLoop(name: name, number: number, socket: socket, stop: try wakeUp.duplicate()))
  }

  private static func start(_ loop: EchoLoop) throws(BPFError) -> pthread_t {
    var thread = pthread_t()
    let reference = Unmanaged.passRetained(loop)
    let status = pthread_create(
      &thread, nil,
      { argument in
        // SAFETY: the argument is the object that was retained for this thread, and only here is it released.
        argument.map { Unmanaged<EchoLoop>.fromOpaque($0).takeRetainedValue().run() }
        return nil
      }, reference.toOpaque())
    guard status != 0 else { return thread }
    reference.release()
    throw BPFError(errno: status, operation: "create", object: "thread of an echo server")
  }

  deinit {
    eventfd_write(wakeUp.rawValue, 1)
    pthread_join(thread, nil)
  }

  /// An IPv6 socket that serves IPv4 as well.
  private static func listen(_ number: L4Protocol, _ port: UInt16) throws(BPFError) -> FileDescriptor {
    let socket = try Socket.open(domain: AF_INET6, number)
    let ipv6 = Int32(IPPROTO_IPV6)
    try Socket.set(socket, ipv6, IPV6_V6ONLY, Int32(0))
    try Socket.set(socket, SOL_SOCKET, SO_REUSEADDR, Int32(1))
    try Socket.set(socket, ipv6, IPV6_RECVPKTINFO, Int32(1))
    try Socket.bind(socket, to: SocketAddress(.unspecified(.ipv6), port))
    let raw = socket.rawValue
    if number == .tcp { try systemCall("listen on", "port \(port)") { Glibc.listen(raw, 1024) } }
    return socket
  }
}

/// The thread of an ``EchoServer``.
private final class EchoLoop {
  private let name: String
  private let number: L4Protocol
  private let socket: FileDescriptor
  private let stop: FileDescriptor
  private var connections: [Int32: Connection] = [:]

  /// A TCP connection, and what has come of a line that is not complete.
  private final class Connection {
    let descriptor: FileDescriptor
    var line = 0
    init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
  }

  init(name: String, number: L4Protocol, socket: consuming FileDescriptor, stop: consuming FileDescriptor) {
    self.name = name
    self.number = number
    self.socket = socket
    self.stop = stop
  }

  func run() {
    while true {
      var waiting = ([stop.rawValue, socket.rawValue] + connections.keys).map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      // SAFETY: the array outlives the call and its length is passed.
      guard poll(&waiting, nfds_t(waiting.count), -1) >= 0 || errno == EINTR else { return }
      let ready = waiting.filter { $0.revents != 0 }.map(\.fd)
      if ready.contains(stop.rawValue) { return }
      for descriptor in ready { serve(descriptor) }
    }
  }

  private func serve(_ descriptor: Int32) {
    if let connection = connections[descriptor] {
      if !answerLines(connection) { connections[descriptor] = nil }
    } else if number == .tcp {
      let accepted = accept(descriptor, nil, nil)
      guard accepted >= 0 else { return }
      _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
      connections[accepted] = Connection(FileDescriptor(owning: accepted))
    } else {
      answerDatagram()
    }
  }

  /// Answers the lines that are there; `false` when the connection is at its end.
  private func answerLines(_ connection: Connection) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let number = connection.descriptor.rawValue
    // SAFETY: the buffer outlives the call and its length is passed.
    let count = recv(number, &buffer, buffer.count, 0)
    guard count > 0, let peer = Socket.peerAddress(number), let local = Socket.localAddress(number) else {
      return false
    }
    for byte in buffer[..<count] {
      connection.line += 1
      guard byte == UInt8(ascii: "\n") else { continue }
      let reply = EchoReply(server: name, peer: peer, local: local, byteCount: connection.line)
      connection.line = 0
      guard Socket.send(number, Array(reply.line.utf8)) == nil else { return false }
    }
    return true
  }

  private func answerDatagram() {
    var buffer = [UInt8](repeating: 0, count: 65536)
    var (peer, local) = (sockaddr_in6(), in6_addr())
    // SAFETY: the buffer and both structures outlive the call, and the buffer's length is passed.
    let count = bpftest_receive(socket.rawValue, &buffer, buffer.count, &peer, &local)
    guard count >= 0, let port = Socket.localAddress(socket.rawValue)?.port else { return }
    let reply = EchoReply(
      server: name, peer: SocketAddress(peer), local: SocketAddress(IPAddress(local), port), byteCount: count)
    let bytes = Array(reply.line.utf8)
    // SAFETY: likewise. A reply that cannot be sent is for the client to miss.
    _ = bpftest_send(socket.rawValue, bytes, bytes.count, &local, &peer)
  }
}
