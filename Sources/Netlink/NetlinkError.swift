import Glibc

/// What went wrong in a conversation with rtnetlink.
///
/// `kind` is for code to decide by; the rest tells a person what was attempted, on what, and what to do about it.
public struct NetlinkError: Error, Sendable, Hashable {
  /// The class of failure, for code to act on.
  public struct Kind: RawRepresentable, Hashable, Sendable {
    /// The class in words.
    public let rawValue: String
    /// A class with the given name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// It is there already (`EEXIST`).
    public static let exists = Kind(rawValue: "exists")
    /// No such link, address, route, rule or neighbour (`ENODEV`, `ENOENT`, `ESRCH`, `EADDRNOTAVAIL`).
    public static let notFound = Kind(rawValue: "not found")
    /// `CAP_NET_ADMIN` is missing (`EPERM`, `EACCES`).
    public static let permission = Kind(rawValue: "not permitted")
    /// The kernel lacks the feature, or its module (`EOPNOTSUPP`, `EAFNOSUPPORT`, `EPROTONOSUPPORT`).
    public static let unsupported = Kind(rawValue: "not supported")
    /// An argument is wrong (`EINVAL`, `ERANGE`), or was refused before the kernel was asked.
    public static let invalid = Kind(rawValue: "invalid")
    /// Held by somebody else for the moment (`EBUSY`, `EAGAIN`).
    public static let busy = Kind(rawValue: "busy")
    /// No route leads there (`ENETUNREACH`, `EHOSTUNREACH`).
    public static let unreachable = Kind(rawValue: "unreachable")
    /// The table changed while it was being listed, each time it was tried (`NLM_F_DUMP_INTR`).
    public static let interrupted = Kind(rawValue: "changed while listing")
    /// The kernel's answer could not be understood.
    public static let malformed = Kind(rawValue: "malformed answer")
    /// Any other error number.
    public static let system = Kind(rawValue: "system error")
  }

  /// The class of failure.
  public var kind: Kind
  /// What was being done, as a verb phrase: "create link", "replace route".
  public var operation: String
  /// The link, address, route or neighbour concerned.
  public var object: String
  /// The error number, 0 if none.
  public var errno: Int32
  /// The kernel's own explanation (`NLMSGERR_ATTR_MSG`), if it gave one: "Nexthop has invalid gateway".
  public var kernelMessage: String?
  /// What a person can do about it.
  public var hint: String?

  /// An error with all that is known.
  public init(
    _ kind: Kind, operation: String, object: String, errno: Int32 = 0, kernelMessage: String? = nil,
    hint: String? = nil
  ) {
    self.kind = kind
    self.operation = operation
    self.object = object
    self.errno = errno
    self.kernelMessage = kernelMessage
    self.hint = hint
  }
}

extension NetlinkError: CustomStringConvertible {
  /// One line with all that is known: `replace route 10.0.0.0/8: not found: No such device (19); …`.
  public var description: String {
    var text = "\(operation) \(object): \(kind.rawValue)"
    if errno != 0 {
      // SAFETY: strerror returns a string that glibc keeps for the thread until its next call, and it is copied here.
      let meaning = String(cString: strerror(errno))
      text += ": \(meaning) (\(errno))"
    }
    if let kernelMessage { text += ", the kernel says: \(kernelMessage)" }
    if let hint { text += "; \(hint)" }
    return text
  }
}

extension NetlinkError.Kind {
  /// The class that an error number belongs to.
  init(errno: Int32) {
    switch errno {
    case EEXIST: self = .exists
    case ENODEV, ENOENT, ENXIO, ESRCH, EADDRNOTAVAIL: self = .notFound
    case EPERM, EACCES: self = .permission
    case EOPNOTSUPP, EAFNOSUPPORT, EPROTONOSUPPORT: self = .unsupported
    case EINVAL, ERANGE: self = .invalid
    case EBUSY, EAGAIN: self = .busy
    case ENETUNREACH, EHOSTUNREACH: self = .unreachable
    default: self = .system
    }
  }
}

extension NetlinkError {
  /// The error for `errno` in the course of `task`.
  init(errno number: Int32, _ task: NetlinkTask, kernelMessage: String? = nil) {
    self.init(
      Kind(errno: number), operation: task.operation, object: task.object, errno: number,
      kernelMessage: kernelMessage, hint: Self.hint(errno: number))
  }

  /// An argument of `task` was refused before the kernel was asked.
  static func refused(_ task: NetlinkTask, hint: String) -> NetlinkError {
    NetlinkError(.invalid, operation: task.operation, object: task.object, hint: hint)
  }

  private static func hint(errno number: Int32) -> String? {
    switch number {
    case EPERM: "needs CAP_NET_ADMIN in the user namespace that owns this network namespace"
    case EOPNOTSUPP: "the kernel may lack the module for this kind of link or route"
    case EAFNOSUPPORT: "the kernel may have been started with this address family disabled"
    default: nil
    }
  }
}

/// What is being done and on what, for the error that may come of it.
struct NetlinkTask: Sendable {
  let operation: String
  let object: String

  init(_ operation: String, _ object: String) {
    self.operation = operation
    self.object = object
  }
}
