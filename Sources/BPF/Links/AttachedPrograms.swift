import CBPF
import Glibc

/// The programs at a hook.
public struct AttachedPrograms: Sendable, Equatable {
  /// One of them.
  public struct Entry: Sendable, Equatable {
    /// ``ProgramInfo/id``.
    public let programID: UInt32
    /// ``LinkInfo/id``; `nil` if it is attached without a link or the hook does not tell.
    public let linkID: UInt32?
    /// Where an XDP program runs; `nil` at other hooks.
    public let mode: XDPMode?
  }

  /// In the order in which they run.
  public let programs: [Entry]
  /// Changes with each change of the list: give it to ``AttachTarget/tcx(_:interface:at:expecting:)`` to attach only if
  /// nobody was faster. `nil` where the hook has none.
  public let revision: UInt64?
}

extension Hook {
  /// What is attached, in order.
  ///
  /// The corresponding bpf(2) command is `BPF_PROG_QUERY`; for XDP, the C function `bpf_xdp_query`.
  public func attached() throws(BPFError) -> AttachedPrograms {
    if case .xdp(let interface) = self { return try attachedXDP(interface) }
    // The kernel's limit for such lists is 64.
    var programs = [UInt32](repeating: 0, count: 64)
    var links = programs
    var count = UInt32(programs.count)
    var revision: UInt64 = 0
    let tellsLinks = if case .tcx = self { true } else { false }
    let error = try withTarget { target in
      programs.withUnsafeMutableBufferPointer { programs in
        links.withUnsafeMutableBufferPointer { links in
          cbpf_program_query(
            target, attachType, programs.baseAddress, tellsLinks ? links.baseAddress : nil, &count, &revision)
        }
      }
    }
    guard error == 0 else {
      throw BPFError(errno: error, operation: "query", object: description, feature: feature)
    }
    let entries = (0..<Int(count)).map { index in
      AttachedPrograms.Entry(
        programID: programs[index], linkID: links[index] == 0 ? nil : links[index], mode: nil)
    }
    return AttachedPrograms(programs: entries, revision: revision == 0 ? nil : revision)
  }

  private func attachedXDP(_ interface: UInt32) throws(BPFError) -> AttachedPrograms {
    var programs = cbpf_xdp_programs()
    let error = cbpf_xdp_query(Int32(bitPattern: interface), &programs)
    guard error == 0 else { throw BPFError(errno: error, operation: "query", object: description) }
    let byMode: [(XDPMode, UInt32)] = [
      (.driver, programs.driver), (.generic, programs.generic), (.hardware, programs.hardware),
    ]
    let entries = byMode.filter { $0.1 != 0 }.map { mode, program in
      AttachedPrograms.Entry(programID: program, linkID: nil, mode: mode)
    }
    return AttachedPrograms(programs: entries, revision: nil)
  }
}
