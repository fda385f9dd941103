import CBPF
import Glibc

/// All programs, maps and links in the kernel, whoever made them. Needs `CAP_SYS_ADMIN`.
///
/// What goes away during the walk is left out.
public enum LoadedObjects {
  /// The programs, by ascending id.
  ///
  /// The corresponding bpf(2) command is `BPF_PROG_GET_NEXT_ID`.
  public static func programs() throws(BPFError) -> [ProgramInfo] {
    try all("programs", next: bpf_prog_get_next_id, open: bpf_prog_get_fd_by_id) {
      (descriptor) throws(BPFError) in try ProgramInfo(of: descriptor)
    }
  }

  /// The maps, by ascending id.
  ///
  /// The corresponding bpf(2) command is `BPF_MAP_GET_NEXT_ID`.
  public static func maps() throws(BPFError) -> [MapInfo] {
    try all("maps", next: bpf_map_get_next_id, open: bpf_map_get_fd_by_id) {
      (descriptor) throws(BPFError) in try MapInfo(of: descriptor)
    }
  }

  /// The links, by ascending id.
  ///
  /// The corresponding bpf(2) command is `BPF_LINK_GET_NEXT_ID`. Linux 5.8.
  public static func links() throws(BPFError) -> [LinkInfo] {
    try all("links", next: bpf_link_get_next_id, open: bpf_link_get_fd_by_id) {
      (descriptor) throws(BPFError) in try LinkInfo(of: descriptor)
    }
  }

  private static func all<Info>(
    _ what: String, next: (UInt32, UnsafeMutablePointer<UInt32>?) -> Int32, open: (UInt32) -> Int32,
    read: (borrowing FileDescriptor) throws(BPFError) -> Info
  ) throws(BPFError) -> [Info] {
    var found: [Info] = []
    var id: UInt32 = 0
    while true {
      let end = next(id, &id)
      if end == -ENOENT { return found }
      guard end == 0 else { throw BPFError(errno: end, operation: "list", object: what) }
      let number = open(id)
      // Gone since.
      if number == -ENOENT { continue }
      guard number >= 0 else { throw BPFError(errno: number, operation: "open", object: "id \(id) of \(what)") }
      found.append(try read(FileDescriptor(owning: number)))
    }
  }
}
