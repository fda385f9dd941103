/// Where and how to attach a program: what ``Program/attach(to:)`` takes.
///
/// ```swift
/// let link = try program.attach(to: .tcx(.ingress, interface: eth0, at: .head))
/// ```
public struct AttachTarget: Hashable, Sendable {
  /// The place.
  public let hook: Hook
  let flags: UInt32
  /// An id or 0, as `flags` say.
  let relative: UInt32
  /// The revision that the hook's list must still have; 0 for any.
  let revision: UInt64

  private init(_ hook: Hook, flags: UInt32, relative: UInt32 = 0, revision: UInt64 = 0) {
    self.hook = hook
    self.flags = flags
    self.relative = relative
    self.revision = revision
  }

  /// Traffic control of an interface. Linux 6.6; before that see ``ClassifierFilter``.
  ///
  /// - Parameters:
  ///   - interface: the index, in the calling thread's network namespace.
  ///   - anchor: the place among the programs that are attached already; by default it runs last.
  ///   - revision: attach only if the list has not changed since ``Hook/attached()`` returned this revision;
  ///     otherwise attaching throws ``BPFError/Kind-swift.struct/stale``.
  public static func tcx(
    _ direction: TrafficDirection, interface: UInt32, at anchor: Anchor = .tail, expecting revision: UInt64? = nil
  ) -> AttachTarget {
    AttachTarget(
      .tcx(direction, interface: interface), flags: anchor.flags, relative: anchor.relative, revision: revision ?? 0)
  }

  /// The receive path of an interface, which takes one program. Linux 5.9.
  public static func xdp(interface: UInt32, mode: XDPMode = .automatic) -> AttachTarget {
    AttachTarget(.xdp(interface: interface), flags: mode.flags)
  }

  /// The sockets of a cgroup. Linux 5.7.
  ///
  /// - Parameters:
  ///   - path: the cgroup's folder in a cgroup (version 2) file system.
  ///   - anchor: the place among the programs of this cgroup; other than at the end from Linux 6.17 on.
  public static func cgroup(_ hook: CgroupHook, path: String, at anchor: Anchor? = nil) -> AttachTarget {
    AttachTarget(.cgroup(hook, path: path), flags: anchor?.flags ?? 0, relative: anchor?.relative ?? 0)
  }

  /// The choice of a listening socket in a network namespace, by default the calling thread's. Linux 5.9.
  public static func socketLookup(networkNamespace path: String = "/proc/thread-self/ns/net") -> AttachTarget {
    AttachTarget(.socketLookup(networkNamespace: path), flags: 0)
  }
}
