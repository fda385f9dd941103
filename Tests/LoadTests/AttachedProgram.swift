import BPF

extension Program {
  /// The first program that is attached to a hook.
  init(attachedTo hook: Hook) throws {
    guard let attached = try hook.attached().programs.first else {
      throw BPFError(.invalid, operation: "find", object: "\(hook)", hint: "nothing is attached")
    }
    try self.init(id: attached.programID)
  }
}
