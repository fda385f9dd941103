/// Who is at a hook, for the messages of whoever comes too late.
enum Occupant {
  /// `program pass (id 12)`; the id alone if the program is gone.
  static func name(ofProgram id: UInt32) -> String {
    guard let program = try? Program(id: id) else { return "program id \(id)" }
    return "program \(program.name) (id \(id))"
  }

  /// `held by program pass (id 12, link 3)`; `nil` if nobody is there or the kernel does not tell.
  static func hint(at hook: Hook) -> String? {
    guard let attached = try? hook.attached(), !attached.programs.isEmpty else { return nil }
    let names = attached.programs.map { occupant in
      let name = name(ofProgram: occupant.programID)
      return occupant.linkID.map { "\(name) by link \($0)" } ?? name
    }
    return "held by \(names.joined(separator: ", "))"
  }
}
