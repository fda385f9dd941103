import BPF
import Glibc

/// The number by which programs know a network namespace. No other namespace gets it until the machine restarts.
enum NetworkNamespaceCookie {
  /// `SO_NETNS_COOKIE` of `<asm-generic/socket.h>`, which older C libraries lack.
  private static let option: Int32 = 71

  /// That of the calling thread's namespace.
  ///
  /// The corresponding socket option is `SO_NETNS_COOKIE`. Linux 5.14.
  static func current() throws(BPFError) -> UInt64 {
    // The option is of the socket layer: sockets of any family have it.
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw BPFError(errno: errno, operation: "open", object: "socket") }
    defer { close(descriptor) }
    var cookie: UInt64 = 0
    var size = socklen_t(MemoryLayout<UInt64>.size)
    // SAFETY: the call writes at most `size` bytes to the cookie.
    guard getsockopt(descriptor, SOL_SOCKET, option, &cookie, &size) == 0 else {
      throw BPFError(
        errno: errno, operation: "read cookie of", object: "network namespace",
        feature: KernelFeature("SO_NETNS_COOKIE", since: KernelVersion(5, 14)))
    }
    return cookie
  }
}
