/// What went wrong in a call to the kernel or to libbpf.
///
/// One type for all of the library: `kind` to decide by, the rest to tell a person what to do.
public struct BPFError: Error, Sendable, Equatable {
  /// The class of failure, for code to act on.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    /// The key is there already (`EEXIST`).
    public static let exists = Kind(rawValue: "exists")
    /// No such key, object or pin (`ENOENT`).
    public static let notFound = Kind(rawValue: "not found")
    /// The map has no room (`E2BIG`, `ENOSPC`).
    public static let full = Kind(rawValue: "full")
    /// A capability is missing (`EPERM`, `EACCES`).
    public static let permission = Kind(rawValue: "not permitted")
    /// The kernel lacks the feature.
    public static let unsupported = Kind(rawValue: "not supported")
    /// An argument is wrong (`EINVAL`).
    public static let invalid = Kind(rawValue: "invalid")
    /// Size or layout of a type differs from the kernel object's.
    public static let layout = Kind(rawValue: "layout differs")
    /// The verifier refused a program.
    public static let rejected = Kind(rawValue: "rejected by the verifier")
    /// Something changed since it was looked at (`ESTALE`).
    public static let stale = Kind(rawValue: "changed meanwhile")
    /// Held by somebody else for the moment (`EBUSY`).
    public static let busy = Kind(rawValue: "busy")
    /// Any other error number.
    public static let system = Kind(rawValue: "system error")
  }

  /// The class of failure.
  public var kind: Kind
  /// What was being done, as a verb phrase: "update", "attach", "load".
  public var operation: String
  /// The map, program, link, pin or interface concerned.
  public var object: String
  /// The error number, 0 if none.
  public var errno: Int32
  /// What a person can do about it.
  public var hint: String?

  public init(_ kind: Kind, operation: String, object: String, errno: Int32 = 0, hint: String? = nil) {
    self.kind = kind
    self.operation = operation
    self.object = object
    self.errno = errno
    self.hint = hint
  }
}
