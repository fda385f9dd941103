import BPF
import CBPFTesting
import Glibc

/// Sends frames of a test's own making out of an interface, and sees what comes in there.
///
/// ```swift
/// let wire = try PacketSocket(pair.near)
/// try wire.send(request.bytes)
/// let reply = try wire.receive { $0.icmp != nil }
/// ```
///
/// Frames of TCP and UDP that another namespace of the machine sends have no checksum yet when they are seen here (its
/// kernel leaves that to a device that does not exist): `ethtool -K eth0 tx off` in that namespace makes them whole.
/// Linux 4.20.
public final class PacketSocket: Sendable {
  /// The interface.
  public let interface: Interface
  private let socket: FileDescriptor

  /// Listens on `interface` from now on.
  ///
  /// The corresponding C function is `socket` with `AF_PACKET` and `SOCK_RAW`.
  public init(_ interface: Interface) throws {
    self.interface = interface
    socket = try interface.namespace.run {
      FileDescriptor(
        owning: try check("listen on", "interface \(interface.name)", bpftest_open_packet_socket(interface.index)))
    }
  }

  /// Sends a frame that begins with its Ethernet header.
  public func send(_ frame: [UInt8]) throws(BPFError) {
    if let error = Socket.send(socket.rawValue, frame) {
      throw BPFError(errno: error, operation: "send", object: "frame of \(frame.count) bytes to \(interface.name)")
    }
  }

  /// The next frame that came in and that `matches`, or `nil` if none has come when the time is up. Others are dropped.
  public func receive(
    timeout: Duration = .seconds(1), where matches: (ParsedPacket) -> Bool = { _ in true }
  ) throws(BPFError) -> ParsedPacket? {
    let end = ContinuousClock.now + timeout
    var buffer = [UInt8](repeating: 0, count: 65536)
    let capacity = buffer.count
    while true {
      let left = max(0, (end - .now).milliseconds)
      var waiting = pollfd(fd: socket.rawValue, events: Int16(POLLIN), revents: 0)
      // SAFETY: one structure, which outlives the call.
      guard try systemCall("wait for", interface.name, { poll(&waiting, 1, left) }) > 0 else { return nil }
      // SAFETY: the buffer outlives the call and its length is passed.
      let count = try systemCall("receive from", interface.name) { recv(socket.rawValue, &buffer, capacity, 0) }
      let packet = ParsedPacket(buffer[..<count])
      if matches(packet) { return packet }
      if left == 0 { return nil }
    }
  }
}
