import BPF

/// A program in an object of its own, so that several attachments can share it.
final class LoadedProgram: Sendable {
  let program: Program

  init(_ program: consuming Program) { self.program = program }
}

/// The loaded programs of the tc hooks, and of the hook before them.
final class DatapathPrograms: Sendable {
  static let names = ["from_pod", "to_pod", "from_net", "to_net", "from_tunnel", "to_host", "expire", "judge_packet"]

  private let programs: [String: LoadedProgram]

  init(of object: borrowing Object) throws(BPFError) {
    var programs: [String: LoadedProgram] = [:]
    for name in Self.names { programs[name] = LoadedProgram(try object.program(named: name)) }
    programs[WireProgram.name] = try WireProgram.load(sharing: object)
    self.programs = programs
  }

  func program(_ name: String) throws(BPFError) -> LoadedProgram {
    guard let program = programs[name] else {
      throw BPFError(.notFound, operation: "find", object: "program \(name) of the datapath")
    }
    return program
  }
}
