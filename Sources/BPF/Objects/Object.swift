import CBPF

/// A loaded BPF object: its programs and maps are in the kernel.
///
/// The handles it gives out are independent of it and of each other: each owns its descriptor. What nothing refers to any
/// more (no handle, no attachment, no pin) the kernel frees, so it is fine to let the object go once everything is taken
/// from it.
public struct Object: ~Copyable, Sendable {
  private struct LoadedProgram: Sendable {
    let name: String
    let type: ProgramType
    let box: DescriptorBox
  }

  private struct LoadedMap: Sendable {
    let name: String
    let box: DescriptorBox
  }

  /// The name given when it was opened.
  public let name: String
  private let programs: [LoadedProgram]
  private let maps: [LoadedMap]

  /// Takes descriptors of its own, so that libbpf's object can be closed.
  init(loaded object: borrowing OpenObject) throws(BPFError) {
    name = object.name
    var programs: [LoadedProgram] = []
    for program in object.programs where bpf_program__fd(program) >= 0 {
      let type = ProgramType(rawValue: bpf_program__type(program).rawValue)
      let box = DescriptorBox(try FileDescriptor(duplicating: bpf_program__fd(program)))
      programs.append(LoadedProgram(name: OpenObject.name(ofProgram: program), type: type, box: box))
    }
    var maps: [LoadedMap] = []
    for map in object.maps where bpf_map__fd(map) >= 0 {
      let box = DescriptorBox(try FileDescriptor(duplicating: bpf_map__fd(map)))
      maps.append(LoadedMap(name: OpenObject.name(ofMap: map), box: box))
    }
    (self.programs, self.maps) = (programs, maps)
  }

  /// The names of the programs that were loaded, in the object's order.
  public var programNames: [String] { programs.map(\.name) }

  /// The names of the maps, in the object's order; those that hold global variables are called `.rodata`, `.bss`, ….
  public var mapNames: [String] { maps.map(\.name) }

  /// A handle of the program `name`.
  public borrowing func program(named name: String) throws(BPFError) -> Program {
    guard let program = programs.first(where: { $0.name == name }) else {
      throw notFound("program", name, among: programNames)
    }
    return Program(owning: try program.box.descriptor.duplicate(), name: name, type: program.type)
  }

  /// A descriptor of the map `name`, to make a typed map of.
  public borrowing func mapDescriptor(named name: String) throws(BPFError) -> FileDescriptor {
    guard let map = maps.first(where: { $0.name == name }) else { throw notFound("map", name, among: mapNames) }
    return try map.box.descriptor.duplicate()
  }

  private borrowing func notFound(_ what: String, _ name: String, among names: [String]) -> BPFError {
    BPFError(
      .notFound, operation: "find", object: "\(what) \(name) of \(self.name)",
      hint: names.isEmpty ? "it has none" : "it has \(names.joined(separator: ", "))")
  }
}
