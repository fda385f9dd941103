/// Keeps clusters few at a time: every one takes a hundred threads and some hundred descriptors, and the machine's
/// processors are soon busy with two.
actor ClusterPermits {
  static let shared = ClusterPermits(3)

  private var free: Int
  private var waiting: [CheckedContinuation<Void, Never>] = []

  private init(_ count: Int) { free = count }

  /// Runs `body` when there is a permit for it.
  nonisolated func withPermit(_ body: @Sendable () async throws -> Void) async throws {
    await acquire()
    let outcome: Result<Void, any Error>
    do {
      outcome = .success(try await body())
    } catch {
      outcome = .failure(error)
    }
    await release()
    try outcome.get()
  }

  private func acquire() async {
    guard free == 0 else {
      free -= 1
      return
    }
    await withCheckedContinuation { waiting.append($0) }
  }

  /// Hands the permit to whoever has waited longest.
  private func release() {
    guard !waiting.isEmpty else {
      free += 1
      return
    }
    waiting.removeFirst().resume()
  }
}
