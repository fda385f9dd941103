import Glibc
import MartletNetworking

/// An address and port, as sockets take and give them.
struct SocketAddress: Hashable, CustomStringConvertible {
  var address: IPAddress
  var port: UInt16

  init(_ address: IPAddress, _ port: UInt16) {
    self.address = address
    self.port = port
  }

  var description: String { "\(address) port \(port)" }

  /// Calls `body` with the address as a socket of `family` wants it: mapped, for IPv4 on an IPv6 socket.
  func withPointer<Result>(
    _ family: SocketFamily, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
  ) rethrows -> Result {
    switch family {
    case .ipv4:
      var inet = sockaddr_in()
      inet.sin_family = sa_family_t(AF_INET)
      inet.sin_port = port.bigEndian
      inet.sin_addr.s_addr = (address.ipv4 ?? 0).bigEndian
      return try withPointer(to: inet, body)
    case .ipv6:
      var inet = sockaddr_in6()
      inet.sin6_family = sa_family_t(AF_INET6)
      inet.sin6_port = port.bigEndian
      withUnsafeMutableBytes(of: &inet.sin6_addr) { $0.copyBytes(from: address.mappedBytes) }
      return try withPointer(to: inet, body)
    }
  }

  private func withPointer<Value, Result>(
    to value: Value, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result
  ) rethrows -> Result {
    try withUnsafePointer(to: value) { pointer in
      // SAFETY: both socket address types begin as sockaddr does, and the length goes with the pointer.
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        try body($0, socklen_t(MemoryLayout<Value>.size))
      }
    }
  }

  /// The address that `body`, a socket call, fills in; `nil` if the call fails.
  static func filled(by body: (UnsafeMutablePointer<sockaddr>, inout socklen_t) -> Int) -> SocketAddress? {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let result = withUnsafeMutablePointer(to: &storage) { pointer in
      // SAFETY: the storage is large and aligned enough for every socket address.
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, &size) }
    }
    guard result >= 0 else { return nil }
    return withUnsafeBytes(of: storage) { bytes in
      let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
      let raw = storage.ss_family == sa_family_t(AF_INET) ? bytes[4..<8] : bytes[8..<24]
      return IPAddress(bytes: Array(raw)).map { SocketAddress($0, port) }
    }
  }
}

enum SocketFamily { case ipv4, ipv6 }
