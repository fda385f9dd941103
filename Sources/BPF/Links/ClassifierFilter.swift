import CBPF
import Glibc

/// A classifier attached as a filter of the `clsact` queueing discipline: traffic control before Linux 6.6.
///
/// From 6.6 on use ``AttachTarget/tcx(_:interface:at:expecting:)`` instead: filters have no links, so nothing can be pinned,
/// and whoever manages the queueing discipline can remove them. The discipline is added if it is missing and left
/// behind, since others may use it.
///
/// The filter is removed when the value goes out of scope, if the thread is then in the network namespace in which it
/// was attached; call ``detach()`` to learn of errors.
///
/// The corresponding C functions are `bpf_tc_hook_create`, `bpf_tc_attach` and `bpf_tc_detach`.
public struct ClassifierFilter: ~Copyable, Sendable {
  /// The filter's place: lower numbers run first.
  public let priority: UInt32
  /// The filter's number within its priority.
  public let handle: UInt32
  private let interface: Int32
  private let isEgress: Int32
  private let namespace: UInt64?

  /// Attaches `program` to the interface with this index in the thread's network namespace.
  ///
  /// - Parameters:
  ///   - priority: 0 lets the kernel choose.
  ///   - handle: 0 lets the kernel choose.
  public init(
    _ program: borrowing Program, _ direction: TrafficDirection, interface: UInt32, priority: UInt32 = 0,
    handle: UInt32 = 0
  ) throws(BPFError) {
    guard program.type == .schedClassifier else {
      throw BPFError(
        .invalid, operation: "attach", object: "program \(program.name) to clsact",
        hint: "it runs programs of type \(ProgramType.schedClassifier), this one is of type \(program.type)")
    }
    var (priority, handle) = (priority, handle)
    let (index, isEgress): (Int32, Int32) = (Int32(bitPattern: interface), direction == .egress ? 1 : 0)
    if let error = Self.attach(index, isEgress, program, &handle, &priority, replace: false) { throw error }
    (self.priority, self.handle) = (priority, handle)
    (self.interface, self.isEgress) = (index, isEgress)
    namespace = Self.currentNamespace
  }

  deinit {
    if let namespace, namespace == Self.currentNamespace {
      _ = capturingLog { cbpf_tc_detach(interface, isEgress, handle, priority) }
    }
  }

  /// Puts `program` in the place of the present one.
  public borrowing func update(to program: borrowing Program) throws(BPFError) {
    var (priority, handle) = (priority, handle)
    if let error = Self.attach(interface, isEgress, program, &handle, &priority, replace: true) { throw error }
  }

  /// Removes the filter.
  public consuming func detach() throws(BPFError) {
    let (error, log) = capturingLog { cbpf_tc_detach(interface, isEgress, handle, priority) }
    discard self
    guard error == 0 else {
      throw BPFError(errno: error, operation: "detach", object: "filter", log: VerifierLog(text: log))
    }
  }

  private static func attach(
    _ interface: Int32, _ isEgress: Int32, _ program: borrowing Program, _ handle: inout UInt32,
    _ priority: inout UInt32, replace: Bool
  ) -> BPFError? {
    let number = program.descriptor.rawValue
    let (error, log) = capturingLog {
      cbpf_tc_attach(interface, isEgress, number, &handle, &priority, replace ? 1 : 0)
    }
    guard error != 0 else { return nil }
    return BPFError(
      errno: error, operation: replace ? "update" : "attach",
      object: "program \(program.name) to clsact of interface \(interface)", log: VerifierLog(text: log))
  }

  /// The inode of the calling thread's network namespace: the same index means another interface in another one.
  private static var currentNamespace: UInt64? {
    var status = stat()
    return stat("/proc/thread-self/ns/net", &status) == 0 ? UInt64(status.st_ino) : nil
  }
}
