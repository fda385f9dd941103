/// What went wrong in a call to the kernel or to libbpf.
///
/// One type for all of the library: ``kind`` to decide by, the rest to tell a person what failed, why, and what to do.
/// ``description`` is a single line; ``log`` has all that the verifier said.
///
/// ```
/// do {
///   try object.load()
/// } catch where error.kind == .rejected {
///   print(error)                      // load from_pod: rejected by the verifier (EACCES): R0 invalid mem access …
///   print(error.log?.text ?? "")      // everything
/// }
/// ```
public struct BPFError: Error, Sendable, Equatable {
  /// The class of failure, for code to act on.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    /// The class in words, as the description prints it.
    public let rawValue: String
    /// A class of this name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The key, pin or attachment is there already (`EEXIST`).
    public static let exists = Kind(rawValue: "exists already")
    /// No such key, object, pin or interface (`ENOENT`, `ENODEV`, `ESRCH`).
    public static let notFound = Kind(rawValue: "not found")
    /// The map has no room (`E2BIG`, `ENOSPC`).
    public static let full = Kind(rawValue: "full")
    /// A capability is missing or a security policy forbids it (`EPERM`, `EACCES`).
    public static let permission = Kind(rawValue: "not permitted")
    /// The kernel lacks the feature (`EOPNOTSUPP`, `ENOTSUPP`, `ENOSYS`).
    public static let unsupported = Kind(rawValue: "not supported")
    /// An argument is wrong (`EINVAL`).
    public static let invalid = Kind(rawValue: "invalid")
    /// Size or layout of a type differs from the kernel object's.
    public static let layout = Kind(rawValue: "layout differs")
    /// The verifier refused a program.
    public static let rejected = Kind(rawValue: "rejected by the verifier")
    /// Something changed since it was looked at (`ESTALE`).
    public static let stale = Kind(rawValue: "changed meanwhile")
    /// Held by somebody else for the moment (`EBUSY`, `EAGAIN`).
    public static let busy = Kind(rawValue: "busy")
    /// The kernel has no memory for it (`ENOMEM`).
    public static let outOfMemory = Kind(rawValue: "out of memory")
    /// Any other error number.
    public static let system = Kind(rawValue: "system error")
  }

  /// The class of failure.
  public var kind: Kind
  /// What was being done, as a verb phrase: "update", "attach", "load".
  public var operation: String
  /// The map, program, link, pin or interface concerned.
  public var object: String
  /// The error number, positive; 0 if none.
  public var errno: Int32
  /// What libbpf and the verifier said, complete; `nil` if they said nothing.
  public var log: VerifierLog?
  /// What a person can do about it.
  public var hint: String?

  /// An error whose kind the caller knows.
  public init(
    _ kind: Kind, operation: String, object: String, errno: Int32 = 0, log: VerifierLog? = nil, hint: String? = nil
  ) {
    self.kind = kind
    self.operation = operation
    self.object = object
    self.errno = errno
    self.log = log
    self.hint = hint
  }

  /// An error from a system call or from libbpf: the number decides the kind and, where it can, the hint.
  ///
  /// - Parameters:
  ///   - errno: the error number; libbpf's negative form is accepted.
  ///   - log: what was captured during the call.
  ///   - feature: what the call needs of the kernel, so that "not supported" and "invalid" can say which version has it.
  public init(
    errno: Int32, operation: String, object: String, log: VerifierLog? = nil, feature: KernelFeature? = nil,
    hint: String? = nil
  ) {
    let number = errno == .min ? errno : abs(errno)
    self.init(
      Kind(errno: number), operation: operation, object: object, errno: number, log: log,
      hint: hint ?? Self.hint(errno: number, feature: feature))
  }
}

extension BPFError: CustomStringConvertible {
  /// One line: operation, object, kind, number by name, the log's summary, the hint.
  public var description: String {
    var line = "\(operation) \(object): \(kind.rawValue)"
    if errno != 0 { line += " (\(ErrorNumber.name(errno)))" }
    // libbpf explains every refusal by the memory limit; where the missing capability is known, that misleads.
    if let summary = log?.summary, kind != .permission || hint == nil { line += ": \(summary)" }
    if let hint { line += "; \(hint)" }
    return line
  }
}
