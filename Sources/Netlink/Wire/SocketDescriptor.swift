import Glibc

/// An rtnetlink socket: the module's only door to system calls.
///
/// It belongs to the network namespace of the thread that opens it, for good.
struct SocketDescriptor: ~Copyable, Sendable {
  let rawValue: Int32

  // linux/netlink.h and linux/socket.h, which Glibc's import leaves out.
  private static let routeProtocol: Int32 = 0  // NETLINK_ROUTE
  private static let netlinkLevel: Int32 = 270  // SOL_NETLINK
  private static let receiveBufferForce: Int32 = 33  // SO_RCVBUFFORCE

  /// `setsockopt` names at level `SOL_NETLINK`.
  enum Option: Int32 {
    case addMembership = 1  // NETLINK_ADD_MEMBERSHIP
    case cappedAcknowledgement = 10  // NETLINK_CAP_ACK, Linux 4.3
    case extendedAcknowledgement = 11  // NETLINK_EXT_ACK, Linux 4.12
    case strictCheck = 12  // NETLINK_GET_STRICT_CHK, Linux 4.20
  }

  /// `struct sockaddr_nl` (`linux/netlink.h`).
  private struct Address {
    var family = UInt16(AF_NETLINK)
    var padding: UInt16 = 0
    /// The sender's port; 0 is the kernel.
    var port: UInt32 = 0
    var groups: UInt32 = 0
  }

  private init(owning rawValue: Int32) { self.rawValue = rawValue }

  /// Opens a socket; `isNonBlocking` for one that is waited for elsewhere.
  static func open(isNonBlocking: Bool = false) throws(NetlinkError) -> SocketDescriptor {
    let task = NetlinkTask("open", "rtnetlink socket")
    let flags = Int32(SOCK_CLOEXEC.rawValue) | (isNonBlocking ? Int32(SOCK_NONBLOCK.rawValue) : 0)
    let descriptor = socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | flags, routeProtocol)
    guard descriptor >= 0 else { throw NetlinkError(errno: errno, task) }
    let socket = SocketDescriptor(owning: descriptor)
    try socket.bind(task)
    try socket.set(.cappedAcknowledgement, task)
    try socket.set(.extendedAcknowledgement, task)
    try socket.set(.strictCheck, task)
    return socket
  }

  deinit { _ = close(rawValue) }

  /// Takes a port of the kernel's choice. Requests would do it by themselves; but the kernel sends no events to port 0,
  /// which it takes for its own.
  private borrowing func bind(_ task: NetlinkTask) throws(NetlinkError) {
    var address = Address()
    let result = withUnsafeBytes(of: &address) { address in
      // SAFETY: the kernel reads `count` bytes of the address during the call.
      Glibc.bind(rawValue, address.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(address.count))
    }
    guard result == 0 else { throw NetlinkError(errno: errno, task) }
  }

  /// Sets an option of netlink sockets to `value`.
  borrowing func set(_ option: Option, to value: Int32 = 1, _ task: NetlinkTask) throws(NetlinkError) {
    var value = value
    let size = socklen_t(MemoryLayout<Int32>.size)
    // SAFETY: the kernel reads `size` bytes of `value` during the call.
    guard setsockopt(rawValue, Self.netlinkLevel, option.rawValue, &value, size) == 0 else {
      throw NetlinkError(errno: errno, task)
    }
  }

  /// Makes room for `bytes` of messages in the kernel, beyond the system's limit if the caller may.
  ///
  /// The kernel doubles the number for its own bookkeeping (socket(7)).
  borrowing func setReceiveBuffer(_ bytes: Int32, _ task: NetlinkTask) throws(NetlinkError) {
    var bytes = bytes
    let size = socklen_t(MemoryLayout<Int32>.size)
    // SAFETY: the kernel reads `size` bytes of `bytes` during the calls.
    let failed =
      setsockopt(rawValue, SOL_SOCKET, Self.receiveBufferForce, &bytes, size) != 0
      && setsockopt(rawValue, SOL_SOCKET, SO_RCVBUF, &bytes, size) != 0
    if failed { throw NetlinkError(errno: errno, task) }
  }

  /// Sends one request to the kernel.
  borrowing func send(_ message: [UInt8], _ task: NetlinkTask) throws(NetlinkError) {
    // SAFETY: the kernel reads `count` bytes of the array during the call.
    let sent = message.withUnsafeBytes { bytes in
      Self.retrying { Glibc.send(rawValue, bytes.baseAddress, bytes.count, 0) }
    }
    guard sent == message.count else { throw NetlinkError(errno: errno, task) }
  }

  /// Receives one datagram into `buffer`, which grows to hold it, and returns its length.
  ///
  /// The length is asked for first: a datagram that does not fit would be cut, and with it the message that ends the
  /// answer. Throws `EAGAIN` for a non-blocking socket without one, and `ENOBUFS` if the kernel had to drop some.
  borrowing func receive(into buffer: inout [UInt8], _ task: NetlinkTask) throws(NetlinkError) -> Int {
    while true {
      // SAFETY: a null buffer of length 0 is not written to.
      let length = Self.retrying {
        recv(rawValue, nil, 0, Int32(MSG_PEEK) | Int32(MSG_TRUNC))
      }
      guard length >= 0 else { throw NetlinkError(errno: errno, task) }
      if buffer.count < length { buffer.append(contentsOf: repeatElement(0, count: length - buffer.count)) }

      var sender = Address()
      let received = take(into: &buffer, from: &sender)
      guard received >= 0 else { throw NetlinkError(errno: errno, task) }
      // Other processes may send to a netlink socket; only the kernel is believed.
      if sender.port == 0 { return received }
    }
  }

  private borrowing func take(into buffer: inout [UInt8], from sender: inout Address) -> Int {
    var size = socklen_t(MemoryLayout<Address>.size)
    // SAFETY: the kernel writes at most `count` bytes to the buffer and at most `size` to the address during the call.
    return buffer.withUnsafeMutableBytes { bytes in
      withUnsafeMutableBytes(of: &sender) { sender in
        let address = sender.baseAddress?.assumingMemoryBound(to: sockaddr.self)
        return Self.retrying { recvfrom(rawValue, bytes.baseAddress, bytes.count, 0, address, &size) }
      }
    }
  }

  /// Repeats a call that a signal interrupted.
  private static func retrying(_ call: () -> Int) -> Int {
    while true {
      let result = call()
      if result >= 0 || errno != EINTR { return result }
    }
  }
}
