import BPF
import Glibc
import MartletNetworking

/// Calls on sockets that client and server share.
enum Socket {
  /// A socket of the calling thread's namespace and cgroup.
  static func open(domain: Int32, _ number: L4Protocol) throws(BPFError) -> FileDescriptor {
    precondition(number == .tcp || number == .udp, "only TCP and UDP, not \(number)")
    let kind = number == .tcp ? SOCK_STREAM : SOCK_DGRAM
    return FileDescriptor(
      owning: try systemCall("open", "\(number) socket") { socket(domain, Int32(kind.rawValue) | closeOnExec, 0) })
  }

  static func set<Value: BitwiseCopyable>(
    _ descriptor: borrowing FileDescriptor, _ level: Int32, _ option: Int32, _ value: Value
  ) throws(BPFError) {
    let number = descriptor.rawValue
    var value = value
    // SAFETY: the option's value, with its size; it outlives the call.
    try systemCall("set option \(option) of", "socket") {
      setsockopt(number, level, option, &value, socklen_t(MemoryLayout<Value>.size))
    }
  }

  static func bind(_ descriptor: borrowing FileDescriptor, to address: SocketAddress) throws(BPFError) {
    let number = descriptor.rawValue
    try systemCall("bind socket to", "\(address)") { address.withRaw { Glibc.bind(number, $0, $1) } }
  }

  static func localAddress(_ number: Int32) -> SocketAddress? {
    SocketAddress.read { getsockname(number, $0, $1) }
  }

  static func peerAddress(_ number: Int32) -> SocketAddress? {
    SocketAddress.read { getpeername(number, $0, $1) }
  }

  /// Sends all of `bytes`; the error number if that fails.
  static func send(_ number: Int32, _ bytes: [UInt8]) -> Int32? {
    var rest = bytes[...]
    while true {
      // SAFETY: the slice outlives the call and its length is passed.
      let count = rest.withUnsafeBytes { Glibc.send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0 { return errno }
      rest = rest.dropFirst(count)
      if rest.isEmpty { return nil }
    }
  }

  private static let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)
}
