import CBPF

/// A place in a hook's ordered list of programs, by which to insert another. Linux 6.6.
public struct Anchor: Hashable, Sendable {
  /// What stands in the list already.
  public enum Relative: Hashable, Sendable {
    /// The program with this id: ``ProgramInfo/id``.
    case program(id: UInt32)
    /// The link with this id: ``LinkInfo/id``.
    case link(id: UInt32)
  }

  /// `BPF_F_…`.
  let flags: UInt32
  /// The id that `flags` speak of, 0 if they speak of none.
  let relative: UInt32

  private init(_ position: UInt32, _ relative: Relative? = nil) {
    switch relative {
    case nil: (flags, self.relative) = (position, 0)
    case .program(let id): (flags, self.relative) = (position | CBPF_F_ID, id)
    case .link(let id): (flags, self.relative) = (position | CBPF_F_ID | CBPF_F_LINK, id)
    }
  }

  /// Runs first.
  public static let head = Anchor(CBPF_F_BEFORE)
  /// Runs last.
  public static let tail = Anchor(CBPF_F_AFTER)
  /// Runs just before `relative`.
  public static func before(_ relative: Relative) -> Anchor { Anchor(CBPF_F_BEFORE, relative) }
  /// Runs just after `relative`.
  public static func after(_ relative: Relative) -> Anchor { Anchor(CBPF_F_AFTER, relative) }
}
