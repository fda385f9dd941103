@preconcurrency import Dispatch
import Synchronization

/// Waits, without blocking a thread, until a descriptor can be read.
///
/// A dispatch source is made for each wait and asks the kernel for the state, not for a change of it; so nothing that
/// happened before the wait is missed, and while nobody waits there are no wake-ups.
final class DescriptorReadiness: Sendable {
  private let box: DescriptorBox

  init(_ descriptor: consuming FileDescriptor) { box = DescriptorBox(descriptor) }

  /// Returns when there is something to read or the task is cancelled.
  func wait() async {
    let wait = Wait(box)
    await withTaskCancellationHandler {
      await withCheckedContinuation { wait.start($0) }
    } onCancel: {
      wait.end()
    }
  }

  /// One wait; `end` may come before `start` and more than once.
  private final class Wait: Sendable {
    private enum State {
      case idle
      case waiting(CheckedContinuation<Void, Never>)
      case ended
    }

    private let state = Mutex(State.idle)
    // SAFETY: Dispatch's own types may be used from any thread; the library only does not say so.
    nonisolated(unsafe) private let source: any DispatchSourceRead

    init(_ box: DescriptorBox) {
      source = DispatchSource.makeReadSource(fileDescriptor: box.descriptor.rawValue, queue: .global())
      // Dispatch uses the descriptor until the cancellation is through, so the handler keeps it open until then.
      source.setCancelHandler { _ = box }
    }

    func start(_ continuation: CheckedContinuation<Void, Never>) {
      let hasEnded = state.withLock { state in
        if case .ended = state { return true }
        state = .waiting(continuation)
        return false
      }
      source.setEventHandler { self.end() }
      source.activate()
      if hasEnded { continuation.resume() }
    }

    func end() {
      let continuation = state.withLock { state in
        defer { state = .ended }
        if case .waiting(let continuation) = state { return Optional(continuation) }
        return nil
      }
      source.cancel()
      continuation?.resume()
    }
  }
}
