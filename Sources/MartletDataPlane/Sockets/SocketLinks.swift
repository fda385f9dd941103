import BPF
import Glibc

/// The socket programs' places below a cgroup, each held by a pinned link.
struct SocketLinks {
  private let cgroup: String
  /// The number by which links know the cgroup.
  private let cgroupID: UInt64
  private let pinFolder: String

  /// Each hook with the program for it. Replies are turned back from before the first datagram is sent elsewhere until
  /// after the last one: the order of attaching, and the reverse of detaching.
  private static let hooks: [(program: String, hook: CgroupHook)] = [
    ("getpeername4", .getPeerName4), ("getpeername6", .getPeerName6),
    ("recvmsg4", .receiveMessage4), ("recvmsg6", .receiveMessage6),
    ("sendmsg4", .sendMessage4), ("sendmsg6", .sendMessage6),
    ("connect4", .connect4), ("connect6", .connect6),
  ]

  /// Throws ``BPF/BPFError/Kind-swift.struct/invalid`` if `cgroup` is not the folder of a version 2 cgroup.
  init(cgroup: String, pinFolder: String) throws(BPFError) {
    guard access("\(cgroup)/cgroup.controllers", F_OK) == 0 else {
      throw BPFError(
        .invalid, operation: "balance sockets of", object: "cgroup \(cgroup)",
        hint: "it is not a folder of a cgroup2 file system; \"mount -t cgroup2\" lists where those are")
    }
    var status = stat()
    // SAFETY: the call fills the structure, which outlives it.
    guard stat(cgroup, &status) == 0 else { throw BPFError(errno: errno, operation: "find", object: cgroup) }
    self.cgroup = cgroup
    cgroupID = UInt64(status.st_ino)
    self.pinFolder = pinFolder
  }

  /// Puts the object's programs in their places.
  func attach(_ object: borrowing Object) throws(BPFError) {
    for (name, hook) in Self.hooks {
      let path = Self.pin(name, in: pinFolder)
      let program = try object.program(named: name)
      if try takeOver(path, program) { continue }
      try program.attach(to: .cgroup(hook, path: cgroup)).pin(at: path)
    }
  }

  /// Whether a link of a former agent holds the place, which the program then takes. A link to another cgroup is of no
  /// use, and goes.
  private func takeOver(_ path: String, _ program: borrowing Program) throws(BPFError) -> Bool {
    guard access(path, F_OK) == 0 else { return false }
    let link = try Link(pinnedAt: path)
    guard try link.info.cgroup == cgroupID else {
      try Self.end(path)
      return false
    }
    try link.update(to: program)
    return true
  }

  /// Detaches all links pinned in `pinFolder`; returns how many there were.
  static func remove(pinFolder: String) throws(BPFError) -> Int {
    let paths = hooks.reversed().map { pin($0.program, in: pinFolder) }.filter { access($0, F_OK) == 0 }
    for path in paths { try end(path) }
    return paths.count
  }

  /// At once, rather than when the last of whatever else holds the link is gone. That of a removed cgroup is detached
  /// already.
  private static func end(_ path: String) throws(BPFError) {
    try? Link(pinnedAt: path).detach()
    try BPFFileSystem.unpin(path)
  }

  private static func pin(_ program: String, in folder: String) -> String { "\(folder)/\(program)" }
}
