import BPF
import CBPFTesting
import Glibc

/// A version 2 cgroup of a test's own, to attach cgroup programs to and to run code in.
///
/// ```swift
/// let cgroup = try TemporaryCgroup()
/// let link = try connect.attach(cgroup: cgroup.path)
/// let socket = try namespace.run(in: cgroup) { … }      // the program sees its connect()
/// ```
///
/// The cgroup is *threaded*, so that single threads of the test process can be in it. A socket belongs for life to the
/// cgroup of the thread that created it; a process that such a thread starts is in the cgroup as a whole.
///
/// It is a child of the root of the first cgroup2 hierarchy that is mounted, or of `parent`, and is removed when nothing
/// refers to it any more. Needs `CAP_SYS_ADMIN`.
public final class TemporaryCgroup: Sendable {
  /// The cgroup's folder.
  public let path: String

  private static let serial = Serial()

  /// Creates a cgroup below the folder `parent`; by default below the one that the process is in.
  public init(parent: String? = nil) throws(BPFError) {
    let above = if let parent { parent } else { try Self.ownCgroup() }
    path = "\(above)/bpf-testing-\(getpid())-\(Self.serial.next())"
    try makeDirectory(path, mode: 0o755)
    try TextFile.write(path + "/cgroup.type", "threaded")
  }

  deinit {
    // A thread or process that is just ending still counts for a moment.
    var attempts = 0
    while rmdir(path) != 0 && errno == EBUSY && attempts < 200 {
      usleep(5000)
      attempts += 1
    }
  }

  /// Runs `body` on a fresh thread in the cgroup, and waits for it. See ``NetworkNamespace/run(in:_:)``.
  public func run<Success: ~Copyable & Sendable>(_ body: @Sendable () throws -> Success) throws -> Success {
    try DedicatedThread.run {
      try self.enter()
      return try body()
    }
  }

  /// Moves the calling thread.
  func enter() throws(BPFError) {
    try TextFile.write(path + "/cgroup.threads", "\(bpftest_thread_id())")
  }

  private static func ownCgroup() throws(BPFError) -> String {
    let mounts = try TextFile.read("/proc/self/mounts").split(separator: "\n").map { $0.split(separator: " ") }
    guard let mount = mounts.first(where: { $0.count > 2 && $0[2] == "cgroup2" }) else {
      throw BPFError(
        .notFound, operation: "find", object: "cgroup2 hierarchy", hint: "mount -t cgroup2 none /sys/fs/cgroup")
    }
    let own = try TextFile.read("/proc/self/cgroup").split(separator: "\n").first { $0.hasPrefix("0::") }
    let below = own.map { String($0.dropFirst(3)) } ?? "/"
    return below == "/" ? String(mount[1]) : String(mount[1]) + below
  }
}
