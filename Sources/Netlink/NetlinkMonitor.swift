import Glibc
import Synchronization

/// What changes in a network namespace, as it changes.
///
/// ```swift
/// let monitor = try NetlinkMonitor([.links, .addresses])
/// var links = try netlink.links()                 // after subscribing, so that nothing falls between
/// for try await event in monitor {
///   switch event {
///   case .linkChanged(let link): …
///   case .overrun: links = try netlink.links()    // something was lost
///   …
///   }
/// }
/// ```
///
/// Like ``NetlinkSocket``, a monitor belongs to the network namespace of the thread that creates it. It subscribes when it
/// is created: from then on no change is missed without a ``NetlinkEvent/overrun``. A change that happened before a
/// listing may be reported after it, so events are to be read as "look: this is how it is now".
///
/// Events wait in the kernel until they are asked for, in a buffer of fixed size; the monitor itself holds those of one
/// datagram, which is one as a rule. When the buffer is full the kernel drops what comes. The next event is then
/// `overrun`, everything that still waits is discarded as out of date, and what is listed from then on is complete.
///
/// The sequence ends, with `nil`, when the task that waits for it is cancelled; the monitor can be iterated again. If
/// several tasks iterate, each event goes to one of them. The monitor needs no thread of its own.
///
/// What to know about the kernel's events: IPv4 routes that vanish because their link is set down or deleted are not
/// reported, so who follows routes must follow links; and neighbours are reported when their state changes, not when
/// they are used.
///
/// The corresponding C function is `setsockopt` with `NETLINK_ADD_MEMBERSHIP`.
public final class NetlinkMonitor: AsyncSequence, Sendable {
  /// One change.
  public typealias Element = NetlinkEvent
  /// What ends a sequence but cancellation.
  public typealias Failure = NetlinkError

  /// What to hear of.
  public struct Topics: OptionSet, Hashable, Sendable {
    /// The bits, as the kernel has them.
    public let rawValue: UInt32
    /// The given bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Links.
    public static let links = Topics(rawValue: 1 << 0)
    /// Addresses of both families.
    public static let addresses = Topics(rawValue: 1 << 1)
    /// Routes of both families, in all tables.
    public static let routes = Topics(rawValue: 1 << 2)
    /// Neighbours of both families. The busiest by far.
    public static let neighbours = Topics(rawValue: 1 << 3)
    /// All of them.
    public static let all: Topics = [.links, .addresses, .routes, .neighbours]
  }

  private let inbox: Mutex<Inbox>
  private let readiness: ReadReadiness

  /// Subscribes to `topics` in the network namespace of the calling thread.
  ///
  /// - Parameter receiveBuffer: bytes that the kernel may keep for this monitor; a change takes from half a kilobyte to
  ///   two. More than `net.core.rmem_max` needs `CAP_NET_ADMIN` in the initial user namespace; without, it is that.
  public init(_ topics: Topics, receiveBuffer: Int = 1 << 20) throws(NetlinkError) {
    let task = NetlinkTask("subscribe to", "rtnetlink events")
    guard let receiveBuffer = Int32(exactly: receiveBuffer), receiveBuffer > 0 else {
      throw .refused(task, hint: "the receive buffer has from 1 to \(Int32.max) bytes, not \(receiveBuffer)")
    }
    let socket = try SocketDescriptor.open(isNonBlocking: true)
    try socket.setReceiveBuffer(receiveBuffer, task)
    for group in topics.groups { try socket.set(.addMembership, to: group, task) }
    let shared = SharedSocket(socket)
    readiness = ReadReadiness(shared)
    inbox = Mutex(Inbox(shared))
  }

  /// Waits for changes one by one.
  public struct Iterator: AsyncIteratorProtocol {
    let monitor: NetlinkMonitor

    /// The next change, or `nil` once the task is cancelled.
    public mutating func next() async throws(NetlinkError) -> NetlinkEvent? { try await next(isolation: nil) }

    /// The next change, or `nil` once the task is cancelled.
    public mutating func next(
      isolation actor: isolated (any Actor)?
    ) async throws(NetlinkError) -> NetlinkEvent? {
      while !Task.isCancelled {
        if let event = try monitor.poll() { return event }
        await monitor.readiness.wait()
      }
      return nil
    }
  }

  /// An iterator; several share the events among them.
  public func makeAsyncIterator() -> Iterator { Iterator(monitor: self) }

  /// The next change if there is one already; does not wait.
  public func poll() throws(NetlinkError) -> NetlinkEvent? {
    try inbox.withLock { (inbox) throws(NetlinkError) in try inbox.next() }
  }
}

extension NetlinkMonitor.Topics {
  /// `RTNLGRP_…` (`linux/rtnetlink.h`).
  fileprivate var groups: [Int32] {
    let groups: [(NetlinkMonitor.Topics, [Int32])] = [
      (.links, [1]),  // RTNLGRP_LINK
      (.addresses, [5, 9]),  // RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR
      (.routes, [7, 11]),  // RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE
      (.neighbours, [3]),  // RTNLGRP_NEIGH
    ]
    return groups.flatMap { contains($0.0) ? $0.1 : [] }
  }
}

/// The reading end of a monitor.
private struct Inbox: ~Copyable {
  private let socket: SharedSocket
  private let task = NetlinkTask("receive", "rtnetlink events")
  private var buffer = [UInt8](repeating: 0, count: 8 << 10)
  /// Events of the last datagram that were not taken yet, the next one last.
  private var pending: [NetlinkEvent] = []

  init(_ socket: SharedSocket) { self.socket = socket }

  /// The next event, or `nil` if the kernel has none.
  mutating func next() throws(NetlinkError) -> NetlinkEvent? {
    while pending.isEmpty {
      switch try receive() {
      case .nothing: return nil
      case .datagram(let length): try read(buffer[..<length])
      case .loss:
        // What the kernel kept is older than what is listed next. It delivers nothing new before its buffer is empty.
        while try receive() != .nothing {}
        return .overrun
      }
    }
    return pending.popLast()
  }

  private mutating func read(_ datagram: ArraySlice<UInt8>) throws(NetlinkError) {
    guard let messages = Message.messages(in: datagram) else {
      throw NetlinkError(.malformed, operation: task.operation, object: task.object)
    }
    pending = messages.reversed().compactMap(NetlinkEvent.init)
  }

  /// What a look at the socket found.
  private enum Reception: Equatable {
    /// The kernel has nothing.
    case nothing
    /// `buffer` holds that many bytes.
    case datagram(Int)
    /// The kernel dropped something.
    case loss
  }

  private mutating func receive() throws(NetlinkError) -> Reception {
    do {
      return .datagram(try socket.descriptor.receive(into: &buffer, task))
    } catch {
      switch error.errno {
      case EAGAIN: return .nothing
      case ENOBUFS: return .loss
      default: throw error
      }
    }
  }
}
