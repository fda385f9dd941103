import Synchronization

/// A question to the running kernel: has it this feature?
///
/// Ask *after* something has failed, to explain it, or to choose between two ways; a probe before each use costs
/// privileges and time and proves nothing about the use. Versions are not compared: distributions carry features back.
///
/// ```swift
/// if case .unavailable(let feature) = Probe.tcx.result { print("no \(feature): using clsact") }
/// ```
public struct Probe: Sendable {
  /// The kernel's answer.
  public enum Result: Sendable, Equatable {
    /// It has it.
    case available
    /// It has not.
    case unavailable(needs: KernelFeature)
    /// The attempt failed for a reason of its own, a missing capability for instance.
    case unknown(reason: String)
  }

  /// What an attempt showed.
  enum Outcome: Sendable {
    case available
    case unavailable
    case inconclusive(BPFError)
    case impossible(String)
  }

  /// What is asked for.
  public let feature: KernelFeature
  /// Tries it, without looking into or keeping answers.
  let attempt: @Sendable () -> Outcome

  private static let answers = Mutex<[KernelFeature: Result]>([:])

  init(_ feature: KernelFeature, attempt: @escaping @Sendable () -> Outcome) {
    self.feature = feature
    self.attempt = attempt
  }

  /// The answer. It is kept if it is conclusive: a process that gains a capability asks again.
  public var result: Result {
    if let known = Self.answers.withLock({ $0[feature] }) { return known }
    let answer: Result
    switch attempt() {
    case .available: answer = .available
    case .unavailable: answer = .unavailable(needs: feature)
    case .inconclusive(let error): return .unknown(reason: error.description)
    case .impossible(let reason): return .unknown(reason: reason)
    }
    Self.answers.withLock { $0[feature] = answer }
    return answer
  }
}
