import Foundation
import Glibc

/// Tells when the files of a folder may have changed.
///
/// It says only *that*, not what: whoever listens looks at the folder, which is right even if the kernel lost events or
/// the folder itself was removed and made again. Where `inotify(7)` cannot help, since there is no folder or the
/// user's limit is reached, it says so at intervals instead.
final class FolderWatch: Sendable {
  /// One signal stands for any number of changes since the last.
  let signals: AsyncStream<Void>
  /// One of two connected sockets, of which the other is the thread's: closed to end it.
  private let stop: Int32

  /// How long to wait for events: without a watch on the folder, and with one, for what it cannot see.
  private static let intervals = (unwatched: 250, watched: 10_000)

  /// Begins to watch: whatever changes after this is signalled.
  init(folder path: String) {
    let (signals, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    self.signals = signals
    let inotify = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK))
    var pair: [Int32] = [-1, -1]
    // Without them, for want of descriptors, the thread runs as long as the process. Not a pipe, since `pipe2` isn't
    // imported and `pipe` cannot keep them from programs started meanwhile.
    _ = socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &pair)
    stop = pair[1]
    let isWatched = Self.addWatch(inotify, path)
    Thread.detachNewThread { [stopped = pair[0]] in
      Self.run(inotify: inotify, stopped: stopped, path: path, isWatched: isWatched) { continuation.yield() }
      continuation.finish()
      for descriptor in [inotify, stopped] where descriptor >= 0 { close(descriptor) }
    }
  }

  deinit {
    if stop >= 0 { close(stop) }
  }

  /// Watches the folder that is at `path` now. Does nothing if that is being watched.
  private static func addWatch(_ inotify: Int32, _ path: String) -> Bool {
    let events =
      IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF
    return inotify >= 0 && inotify_add_watch(inotify, path, UInt32(events) | UInt32(IN_ONLYDIR)) >= 0
  }

  private static func run(
    inotify: Int32, stopped: Int32, path: String, isWatched: Bool, _ signal: () -> Void
  ) {
    var isWatched = isWatched
    while true {
      // A negative descriptor is one that poll passes over.
      var descriptors = [
        pollfd(fd: stopped, events: 0, revents: 0), pollfd(fd: inotify, events: Int16(POLLIN), revents: 0),
      ]
      let count = poll(&descriptors, 2, Int32(isWatched ? intervals.watched : intervals.unwatched))
      if count < 0, errno != EINTR { return }
      if descriptors[0].revents != 0 { return }
      if descriptors[1].revents != 0 { drain(inotify) }
      // Before the signal, so that what changes while somebody looks is signalled again.
      isWatched = addWatch(inotify, path)
      signal()
    }
  }

  private static func drain(_ inotify: Int32) {
    var buffer = [UInt8](repeating: 0, count: 16_384)
    // SAFETY: the buffer is the array's own storage, of the size given.
    while buffer.withUnsafeMutableBytes({ read(inotify, $0.baseAddress, $0.count) }) > 0 {}
  }
}
