import BPF
import BPFTesting
import Testing

/// Opening and changing need no privileges.
@Suite struct OpenObjectTests {
  @Test func namesAreTheDeclaredOnes() throws {
    let object = try OpenObject(hexadecimal: BPFPrograms.sample, name: "sample_object")
    #expect(object.name == "sample_object")
    #expect(object.programNames.contains("add_mark") && object.programNames.contains("xdp_pass"))
    #expect(object.mapNames.contains("flows") && object.mapNames.contains(".rodata"))
  }

  @Test func badBytesAreRefused() throws {
    let garbage = try #require(throws: BPFError.self) { _ = try OpenObject(bytes: [1, 2, 3, 4], name: "garbage") }
    #expect(garbage.operation == "open" && garbage.object == "garbage" && garbage.log != nil)
    let odd = try #require(throws: BPFError.self) { _ = try OpenObject(hexadecimal: "abc", name: "odd") }
    #expect(odd.kind == .invalid)
    let missing = try #require(throws: BPFError.self) { _ = try OpenObject(contentsOf: "/nowhere/x.bpf.o") }
    #expect(missing.kind == .notFound && missing.object == "/nowhere/x.bpf.o")
  }

  @Test func unknownConstantIsAnErrorThatListsTheKnown() throws {
    let object = try OpenObject(hexadecimal: BPFPrograms.sample, name: "sample")
    let error = try #require(throws: BPFError.self) { try object.setConstant("added_marks", to: UInt32(1)) }
    #expect(error.kind == .notFound)
    #expect(error.hint?.contains("added_mark") == true && error.hint?.contains("answer") == true)
  }

  @Test func constantOfAnotherSizeIsAnErrorThatNamesBoth() throws {
    let object = try OpenObject(hexadecimal: BPFPrograms.sample, name: "sample")
    let error = try #require(throws: BPFError.self) { try object.setConstant("answer", to: UInt32(1)) }
    #expect(error.kind == .layout && error.hint == "it has 8 bytes and UInt32 has 4")
  }

  @Test func unknownMapsAndProgramsAreErrors() throws {
    let object = try OpenObject(hexadecimal: BPFPrograms.sample, name: "sample")
    let map = try #require(throws: BPFError.self) { try object.resize(map: "flow", to: 1) }
    #expect(map.kind == .notFound && map.object == "map flow of sample" && map.hint?.contains("flows") == true)
    let program = try #require(throws: BPFError.self) { try object.select(programs: ["pass", "pas"]) }
    #expect(program.kind == .notFound && program.object == "program pas of sample")
  }
}

extension OpenObject {
  /// `sample.bpf.c` with what it needs to be loaded.
  static func sample(programs: [String]? = nil) throws(BPFError) -> OpenObject {
    var object = try OpenObject(hexadecimal: BPFPrograms.sample, name: "sample")
    try object.setInnerMap(of: "tables", template: try ArrayMap<UInt64>(name: "inner", capacity: 4).raw.descriptor)
    if let programs { try object.select(programs: programs) }
    return object
  }
}

extension Object {
  /// `sample.bpf.c`, loaded.
  static func sample(programs: [String]? = nil) throws(BPFError) -> Object {
    try OpenObject.sample(programs: programs).load()
  }
}
