import BPF
import Glibc
import Netlink

/// The folder of a bpf file system that keeps a data plane alive without its agent.
///
///     <root>/maps/<name>                    every map of the datapath
///     <root>/links/<program>_<interface>    every attachment, by interface index
///     <root>/sockets/                       the links of connect-time balancing
///     <root>/programs/<name>                programs that tools run
public struct PinFolder: Hashable, Sendable {
  /// The folder's path.
  public let root: String

  /// The folder at `root`, which need not exist yet.
  public init(root: String) { self.root = root }

  /// The default place for one data plane a machine.
  public static let standard = PinFolder(root: "/sys/fs/bpf/martlet")

  var maps: String { "\(root)/maps" }
  var links: String { "\(root)/links" }
  var sockets: String { "\(root)/sockets" }
  var programs: String { "\(root)/programs" }

  func map(_ name: String) -> String { "\(maps)/\(name)" }

  func program(_ name: String) -> String { "\(programs)/\(name)" }

  func link(_ program: String, on interface: InterfaceIndex) -> String { "\(links)/\(program)_\(interface)" }

  /// Pins `map` as `name`, in one step in place of whatever has been pinned there.
  func replace(_ map: borrowing some KernelMap & ~Copyable, as name: String) throws(BPFError) {
    let fresh = try vacant(self.map(name))
    try map.pin(at: fresh)
    try rename(fresh, to: self.map(name))
  }

  /// Likewise of a program.
  func replace(_ program: borrowing Program, as name: String) throws(BPFError) {
    let fresh = try vacant(self.program(name))
    try program.pin(at: fresh)
    try rename(fresh, to: self.program(name))
  }

  /// A path beside `path` where nothing is pinned.
  private func vacant(_ path: String) throws(BPFError) -> String {
    let fresh = path + "_new"
    if access(fresh, F_OK) == 0 { try BPFFileSystem.unpin(fresh) }
    return fresh
  }

  private func rename(_ fresh: String, to path: String) throws(BPFError) {
    guard Glibc.rename(fresh, path) == 0 else { throw failure("pin", path, errno) }
  }

  /// The interface that a link's file name speaks of.
  static func interface(ofLink name: String) -> InterfaceIndex? {
    name.lastIndex(of: "_").flatMap { UInt32(name[name.index(after: $0)...]) }.map { InterfaceIndex($0) }
  }

  /// Whether a data plane has left its maps here.
  public var isInUse: Bool { access(map("flows"), F_OK) == 0 }

  /// Throws ``BPFError`` with the remedy unless a data plane has left its maps here and the caller may look.
  public func requireUse() throws(BPFError) {
    guard !isInUse else { return }
    switch errno {
    case EACCES, EPERM: throw unreadable(errno)
    default:
      try checkFileSystem()
      throw failure(
        "find a data plane under", root, ENOENT,
        "no data plane is pinned there: start one with martlet agent, or name --pin-root")
    }
  }

  /// Whether there is such a folder. Throws ``BPFError`` if it is in no bpf file system, or cannot be told.
  func exists() throws(BPFError) -> Bool {
    guard access(root, R_OK | X_OK) == 0 else {
      guard errno == ENOENT else { throw unreadable(errno) }
      try checkFileSystem()
      return false
    }
    try checkFileSystem()
    return true
  }

  /// Makes the folder itself, or checks that what is there is fit to hold pins.
  ///
  /// Throws ``BPFError`` with the remedy if there is no bpf file system at the place, or if others might touch the pins.
  func createRoot() throws(BPFError) {
    try checkFileSystem()
    if mkdir(root, 0o700) != 0 && errno != EEXIST {
      let error = errno
      throw failure("create folder", root, error, BPFFileSystem.hint(root, errno: error))
    }
    var status = stat()
    guard stat(root, &status) == 0 else { throw failure("look at", root, errno) }
    guard status.st_uid == geteuid() else {
      throw failure(
        "use pin root", root, EPERM, "it belongs to user \(status.st_uid), who could take pins away: name another")
    }
    guard status.st_mode & 0o022 == 0 else {
      throw failure("use pin root", root, EPERM, "others may write to it: chmod go-w, or name a folder inside it")
    }
  }

  /// Makes the folders inside.
  func create() throws(BPFError) {
    for folder in [maps, links, sockets, programs] where mkdir(folder, 0o700) != 0 && errno != EEXIST {
      throw failure("create folder", folder, errno)
    }
  }

  /// The root, or what is to hold it and exists.
  private var nearestFolder: String? {
    var folder = root
    while access(folder, F_OK) != 0 {
      guard let slash = folder.lastIndex(of: "/"), slash > folder.startIndex else { return nil }
      folder = String(folder[..<slash])
    }
    return folder
  }

  /// Throws unless the place is in a bpf file system, be there anything or not.
  private func checkFileSystem() throws(BPFError) {
    guard let folder = nearestFolder, BPFFileSystem.contains(folder) else { throw notInFileSystem }
  }

  private func unreadable(_ error: Int32) -> BPFError {
    failure("look into", root, error, "only its owner may: run as root")
  }

  private var notInFileSystem: BPFError {
    failure(
      "use pin root", root, ENODEV,
      """
      it is not in a bpf file system: mount -t bpf bpf \(BPFFileSystem.defaultMount), or, where `ip netns exec` hides \
      one, use nsenter --net=
      """)
  }

  private func failure(_ operation: String, _ path: String, _ error: Int32, _ hint: String? = nil) -> BPFError {
    BPFError(errno: error, operation: operation, object: path, hint: hint)
  }

  /// The names in one of the folders.
  func entries(of folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      // SAFETY: d_name is a NUL-terminated array inside the entry, which lives until the next readdir().
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Removes everything: programs detach, maps are freed. Nothing is left of the data plane.
  ///
  /// - Returns: how many pins there were.
  @discardableResult
  public func removeAll() throws(BPFError) -> Int {
    var count = 0
    for folder in [links, sockets, programs, maps] {
      for name in entries(of: folder) {
        let path = "\(folder)/\(name)"
        if folder == links || folder == sockets { detach(path) }
        try BPFFileSystem.unpin(path)
        count += 1
      }
      rmdir(folder)
    }
    rmdir(root)
    return count
  }

  /// At once, rather than when the last of whatever else holds the link is gone.
  private func detach(_ path: String) {
    if let link = try? Link(pinnedAt: path) { try? link.detach() }
  }
}
