/// Something that a kernel has or has not, and the version of mainline Linux that brought it.
public struct KernelFeature: Hashable, Sendable, CustomStringConvertible {
  /// What it is called.
  public let name: String
  /// The first mainline version that has it; `nil` if this library does not know.
  public let since: KernelVersion?

  /// The feature `name`, new in Linux `since`.
  public init(_ name: String, since: KernelVersion?) {
    self.name = name
    self.since = since
  }

  /// `tcx (Linux 6.6)`.
  public var description: String { since.map { "\(name) (Linux \($0))" } ?? name }

  /// "tcx needs Linux 6.6, this is 6.1", or `nil` if the running kernel is not older.
  var shortfall: String? {
    guard let since, let running = KernelVersion.running, running < since else { return nil }
    return "\(name) needs Linux \(since), this is \(running)"
  }
}
