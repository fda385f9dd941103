import BPF
import CBPFTesting

/// Something that a test needs of the machine, with the probe that finds out whether it is here.
///
/// A probe tries the thing itself; it does not compare versions, because vendors port features back and containers take
/// capabilities away.
///
/// ```swift
/// extension Requirement {
///   static let netkit = Requirement("netkit") { netkitError.map { Missing(errno: $0, attempt: "creating a netkit pair") } }
/// }
///
/// @Test(.requiresBPF, .requires(.netkit)) func pairForwards() { … }
/// ```
public struct Requirement: Sendable {
  /// Why a feature is not here.
  public struct Missing: Error, Hashable, Sendable, CustomStringConvertible {
    /// The cause in one word: an error's name such as `EPERM`, or a capability's such as `CAP_BPF`. The list of allowed
    /// skips is matched against it.
    public let cause: String
    /// What was tried.
    public let attempt: String

    /// A failure of `attempt` for `cause`.
    public init(cause: String, attempt: String) {
      self.cause = cause
      self.attempt = attempt
    }

    /// A failure of `attempt` with an error number, positive or negative.
    public init(errno: Int32, attempt: String) {
      let error = BPFError(errno: errno, operation: attempt, object: "")
      self.init(cause: error.errnoName ?? "no error", attempt: attempt)
    }

    /// `ATTEMPT: CAUSE`.
    public var description: String { "\(attempt): \(cause)" }
  }

  /// The name by which the list of allowed skips knows the feature.
  public let name: String
  private let probe: @Sendable () -> Missing?

  /// A feature called `name`; `probe` returns `nil` if it is here. The probe runs whenever a trait is evaluated, so
  /// let it keep its answer if it is costly.
  public init(_ name: String, probe: @escaping @Sendable () -> Missing?) {
    self.name = name
    self.probe = probe
  }

  /// Why the feature is not here, or `nil` if it is.
  public var missing: Missing? { probe() }
}

extension Requirement {
  /// BPF as such: `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` (for namespaces and mounts) are held, an array map can be created,
  /// and a traffic-control classifier can be loaded.
  public static let bpf = Requirement("bpf") { bpfIsMissing }

  private static let bpfIsMissing: Missing? = {
    let needed: [Capability] = [.netAdmin, .sysAdmin]
    if let capability = needed.first(where: { $0.isEffective == false }) {
      return Missing(cause: capability.name, attempt: "looking at the thread's effective capabilities")
    }
    let map = bpftest_probe_map()
    if map < 0 { return Missing(errno: map, attempt: "creating an array map") }
    let program = bpftest_probe_classifier()
    if program < 0 { return Missing(errno: program, attempt: "loading a traffic-control classifier") }
    return nil
  }()
}
