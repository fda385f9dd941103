import BPF
import CBPFTesting
import Glibc

/// A network namespace of a test's own, which goes when nothing refers to it any more.
///
/// ```swift
/// let namespace = try NetworkNamespace()
/// try namespace.ip("link set lo up", "link add blue type bridge")
/// let link = try namespace.run { try program.attach(to: if_nametoindex("blue")) }
/// ```
///
/// Without a name only a descriptor keeps the namespace alive, so that it disappears even if the process is killed. With
/// a name it is mounted below `/run/netns`, where `ip netns` and `nsenter --net=` find it; a killed process leaves it
/// there.
///
/// ## Threads
///
/// ``run(in:_:)`` calls its body on a thread of its own and waits. The body is synchronous, and must not start tasks
/// or hand work to Dispatch: their pools may grow by a thread that is born in the namespace, and which then serves
/// unrelated code from there. ``foreignThreads`` finds out whether that happened. Maps, programs, sockets and most other
/// descriptors belong to no thread: return them, and await on them outside.
///
/// An `#expect` that fails in the body is recorded without the name of its test. Return what there is to check.
public final class NetworkNamespace: Sendable {
  /// The name below `/run/netns`, if any.
  public let name: String?
  /// Where the namespace can be opened, by this process and its children's tools alike: `nsenter --net=PATH`.
  public var path: String { name.map(Self.mountPoint) ?? "/proc/\(getpid())/fd/\(descriptor.rawValue)" }

  let descriptor: FileDescriptor

  /// Creates a namespace with its loopback interface up, and without IPv6's duplicate address detection, which would
  /// keep addresses of new interfaces from use for a second or two.
  ///
  /// - Parameter name: a name for `ip netns`, which must be free; `nil` for a namespace that cannot outlive the process.
  ///
  /// The corresponding C function is `unshare` with `CLONE_NEWNET`.
  public init(named name: String? = nil) throws {
    self.name = name
    descriptor = try DedicatedThread.run {
      try check("create", "network namespace", bpftest_unshare_network())
      let own = "/proc/self/task/\(bpftest_thread_id())/ns/net"
      if let name { try Self.mount(own, as: name) }
      return FileDescriptor(owning: try systemCall("open", own) { open(own, O_RDONLY | O_CLOEXEC) })
    }
    // After this every property is set, so that a failure runs `deinit`.
    try ip("link set lo up")
    for scope in ["all", "default"] { try setSysctl("net.ipv6.conf.\(scope).accept_dad", "0") }
  }

  deinit {
    guard let name else { return }
    umount2(Self.mountPoint(name), Int32(MNT_DETACH))
    unlink(Self.mountPoint(name))
  }

  /// Runs `body` on a fresh thread in the namespace, and in `cgroup` if given, and waits for it.
  ///
  /// The corresponding C function is `setns` with `CLONE_NEWNET`.
  public func run<Success: ~Copyable & Sendable>(
    in cgroup: TemporaryCgroup? = nil, _ body: @Sendable () throws -> Success
  ) throws -> Success {
    try DedicatedThread.run {
      try cgroup?.enter()
      try check("enter", "network namespace", bpftest_enter_network(self.descriptor.rawValue))
      return try body()
    }
  }

  private static func mountPoint(_ name: String) -> String { "/run/netns/\(name)" }

  private static func mount(_ source: String, as name: String) throws(BPFError) {
    let target = mountPoint(name)
    try makeDirectory("/run/netns", mode: 0o755, mayExist: true)
    let file = try systemCall("create", target) { open(target, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0) }
    close(file)
    do {
      try systemCall("mount", target) { Glibc.mount(source, target, "none", UInt(MS_BIND), nil) }
    } catch {
      unlink(target)
      throw error
    }
  }
}

extension NetworkNamespace {
  /// Threads of this process that are in another network namespace than the process's first thread, by their ids.
  ///
  /// None should be left when no ``run(in:_:)`` is under way: one that is there was born in a namespace, and whatever
  /// pool it belongs to now runs unrelated code in it.
  public static var foreignThreads: [Int32] {
    get throws {
      let own = try Directory.target(ofLink: "/proc/self/ns/net")
      return try Directory.entries("/proc/self/task").filter { thread in
        // A thread that has ended meanwhile is in no namespace.
        guard let other = try? Directory.target(ofLink: "/proc/self/task/\(thread)/ns/net") else { return false }
        return other != own
      }.compactMap { Int32($0) }
    }
  }
}
