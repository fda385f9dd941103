import CBPF

/// What the kernel says of a link (`struct bpf_link_info`).
public struct LinkInfo: Sendable, Equatable {
  /// The number by which ``LoadedObjects`` finds it.
  public let id: UInt32
  /// What kind of attachment it is.
  public let type: LinkType
  /// The id of the program.
  public let programID: UInt32
  /// The kernel's `enum bpf_attach_type`, for the types that tell.
  public let attachType: UInt32
  /// The interface's index in its network namespace; 0 once it is detached, `nil` if the hook is none of an interface.
  public let interface: UInt32?
  /// The cgroup's number, the inode of its folder; 0 once it is detached, `nil` if the hook is none of a cgroup.
  public let cgroup: UInt64?
  /// The network namespace's inode; 0 once it is detached, `nil` if the hook is none of a network namespace.
  public let networkNamespace: UInt32?

  /// Asks the kernel about the link behind `descriptor`.
  ///
  /// The corresponding bpf(2) command is `BPF_OBJ_GET_INFO_BY_FD`.
  public init(of descriptor: borrowing FileDescriptor) throws(BPFError) {
    try ObjectKind.link.check(descriptor)
    var info = cbpf_link_info()
    let error = cbpf_link_info(descriptor.rawValue, &info)
    guard error == 0 else { throw BPFError(errno: error, operation: "read info of", object: "link") }
    id = info.id
    type = LinkType(rawValue: info.type)
    programID = info.program
    attachType = info.attach_type
    interface = [.tcx, .xdp, .netkit].contains(type) ? info.ifindex : nil
    cgroup = type == .cgroup ? info.cgroup : nil
    networkNamespace = type == .networkNamespace ? info.netns_inode : nil
  }
}
