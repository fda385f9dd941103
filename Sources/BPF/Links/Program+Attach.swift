import CBPF
import Glibc

extension Program {
  /// Attaches the program for as long as the returned link lives.
  ///
  /// Throws ``BPFError/Kind-swift.struct/invalid`` if the hook runs another type of program,
  /// ``BPFError/Kind-swift.struct/busy`` or ``BPFError/Kind-swift.struct/exists`` with the occupant named if it is
  /// taken, ``BPFError/Kind-swift.struct/stale`` if the list is not at the expected revision, and
  /// ``BPFError/Kind-swift.struct/unsupported`` if the kernel has no such hook.
  ///
  /// The corresponding bpf(2) command is `BPF_LINK_CREATE`.
  public borrowing func attach(to target: AttachTarget) throws(BPFError) -> Link {
    let hook = target.hook
    guard type == hook.programType else {
      throw BPFError(
        .invalid, operation: "attach", object: "program \(name) to \(hook)",
        hint: "the hook runs programs of type \(hook.programType), this one is of type \(type)")
    }
    let number = descriptor.rawValue
    let link = try hook.withTarget { place in
      cbpf_link_create(
        number, place, hook.attachType, target.flags, target.relative, target.revision)
    }
    guard link >= 0 else { throw attachError(link, target) }
    return Link(owning: FileDescriptor(owning: link), label: "link of program \(name) to \(hook)")
  }

  /// Finds out, after the failure, what the number alone does not say.
  private borrowing func attachError(_ error: Int32, _ target: AttachTarget) -> BPFError {
    let hook = target.hook
    var failure = BPFError(
      errno: error, operation: "attach", object: "program \(name) to \(hook)", feature: hook.feature)
    switch failure.errno {
    case EBUSY, EEXIST, E2BIG:
      failure.hint = Occupant.hint(at: hook)
    case EPERM where failure.hint == nil || Capability.missing.isEmpty:
      // A cgroup refuses if one above it holds a program that allows no other below.
      failure.hint = Occupant.hint(at: hook) ?? failure.hint
    case ESTALE:
      let revision = (try? hook.attached())?.revision
      failure.hint = revision.map { "the list is at revision \($0), not \(target.revision)" }
    case EINVAL, EOPNOTSUPP:
      explainInvalid(&failure, hook)
    default:
      break
    }
    return failure
  }

  private borrowing func explainInvalid(_ failure: inout BPFError, _ hook: Hook) {
    if case .tcx = hook, case .unavailable(let feature) = Probe.tcx.result {
      failure.kind = .unsupported
      failure.hint = "the kernel lacks \(feature); ClassifierFilter works without it"
    } else if case .cgroup = hook, failure.hint == nil {
      failure.hint = "was the program declared for this hook (SEC)?"
    }
  }
}
