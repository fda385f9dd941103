import Dispatch
import Synchronization

/// A socket that is read in one place and waited for in another; closed when neither needs it.
final class SharedSocket: Sendable {
  let descriptor: SocketDescriptor
  init(_ descriptor: consuming SocketDescriptor) { self.descriptor = descriptor }
}

/// Waits until a socket can be read.
///
/// The event source watches only while a task waits, so that a datagram that nobody takes wakes nobody.
final class ReadReadiness: Sendable {
  private struct State {
    var source: (any DispatchSourceRead)?
    var isWatching = false
    var lastTicket = 0
    var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
  }

  private let socket: SharedSocket
  private let state = Mutex(State())

  init(_ socket: SharedSocket) { self.socket = socket }

  deinit {
    state.withLock { state in
      guard let source = state.source else { return }
      // Dispatch traps when a suspended source is released.
      if !state.isWatching { source.resume() }
      source.cancel()
    }
  }

  /// Returns when the socket can be read, or the task is cancelled, or for no reason: the caller looks for itself.
  func wait() async {
    let ticket = state.withLock { state in
      state.lastTicket += 1
      return state.lastTicket
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if !enter(continuation, ticket) { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: ticket) }?.resume()
    }
  }

  /// Starts to watch for the owner of `ticket`; `false` if its task is cancelled. Who is cancelled right after this look
  /// finds the continuation in place.
  private func enter(_ continuation: CheckedContinuation<Void, Never>, _ ticket: Int) -> Bool {
    state.withLock { state in
      if Task.isCancelled { return false }
      state.waiters[ticket] = continuation
      if !state.isWatching {
        state.isWatching = true
        // Made at the first wait and not with the socket, which may be opened on a thread that visits another network
        // namespace: Dispatch's threads would inherit that.
        let source = state.source ?? makeSource()
        state.source = source
        source.resume()
      }
      return true
    }
  }

  private func makeSource() -> any DispatchSourceRead {
    let source = DispatchSource.makeReadSource(fileDescriptor: socket.descriptor.rawValue)
    source.setEventHandler { [weak self] in self?.wakeAll() }
    // The descriptor must stay open until Dispatch has let go of it.
    source.setCancelHandler { [socket] in withExtendedLifetime(socket) {} }
    return source
  }

  private func wakeAll() {
    let waiters = state.withLock { state in
      if state.isWatching {
        state.isWatching = false
        state.source?.suspend()
      }
      defer { state.waiters = [:] }
      return state.waiters.values.map(\.self)
    }
    for waiter in waiters { waiter.resume() }
  }
}
