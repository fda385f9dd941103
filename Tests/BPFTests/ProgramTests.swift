import BPF
import BPFTesting
import Testing

@Suite(.requiresBPF) struct ProgramTests {
  private let pass: [Instruction] = [.move(.r0, 2), .exit]

  @Test func infoTellsWhatWasLoaded() throws {
    let object = try Object.sample(programs: ["add_mark", "pass"])
    let program = try object.program(named: "pass")
    let info = try program.info
    let hits = try MapInfo(of: object.mapDescriptor(named: "hits")).id
    #expect(info.name == "pass" && info.type == .schedClassifier && info.mapIDs.contains(hits))
    #expect(info.tag.count == 16 && info.translatedSize > 0 && info.verifiedInstructions > 0 && info.loadTime > 0)
    let other = try object.program(named: "add_mark").info
    #expect(other.tag != info.tag && other.id != info.id)
  }

  @Test func pinnedProgramIsFoundByPathAndById() throws {
    let pins = try TemporaryBPFFilesystem()
    let path = pins.path + "/pass"
    let program = try Program(type: .xdp, name: "pinned_pass", instructions: pass)
    try program.pin(at: path)
    let id = try program.info.id
    let opened = try Program(pinnedAt: path)
    #expect(try opened.info.id == id)
    #expect(opened.name == "pinned_pass" && opened.type == .xdp)
    #expect(try Program(id: id).info.tag == opened.info.tag)
    let twice = try #require(throws: BPFError.self) { try program.pin(at: path) }
    #expect(twice.kind == .exists)
    try BPFFileSystem.unpin(path)
    let gone = try #require(throws: BPFError.self) { _ = try Program(pinnedAt: path) }
    #expect(gone.kind == .notFound && gone.object == path)
  }

  @Test func pinOutsideABPFFileSystemSaysSo() throws {
    let program = try Program(type: .xdp, name: "pass", instructions: pass)
    let error = try #require(throws: BPFError.self) { try program.pin(at: "/tmp/not-bpffs") }
    #expect(error.hint?.contains("/tmp is not in a bpf file system: mount -t bpf bpf /sys/fs/bpf") == true)
    let nowhere = try #require(throws: BPFError.self) { try program.pin(at: "/nowhere/at/all") }
    #expect(nowhere.hint == "there is no folder /nowhere/at")
  }

  @Test func refusedInstructionsComeWithTheLog() throws {
    let error = try #require(throws: BPFError.self) {
      _ = try Program(type: .xdp, name: "no_verdict", instructions: [.exit])
    }
    #expect(error.kind == .rejected && error.log?.program == "no_verdict")
    #expect(error.log?.summary?.contains("R0 !read_ok") == true, "\(error)")
  }

  @Test func pinOfAnotherKindIsNotMisread() throws {
    let pins = try TemporaryBPFFilesystem()
    let program = try Program(type: .xdp, name: "pass", instructions: pass)
    try program.pin(at: pins.path + "/program")
    try ArrayMap<UInt32>(name: "array", capacity: 1).raw.pin(at: pins.path + "/map")
    let map = try #require(throws: BPFError.self) { _ = try Program(pinnedAt: pins.path + "/map").type }
    #expect(map.kind == .invalid && map.hint == "the descriptor is of a map, not of a program")
    #expect(throws: BPFError.self) { _ = try Link(pinnedAt: pins.path + "/map").info }
    #expect(throws: BPFError.self) { _ = try RawMap(pinned: pins.path + "/program").type }
  }
}

@Suite(.requiresBPF) struct LoadedObjectsTests {
  @Test func everyKindIsListed() throws {
    let object = try Object.sample(programs: ["pass", "no_lookup"])
    let program = try object.program(named: "pass").info
    #expect(try LoadedObjects.programs().contains { $0.id == program.id && $0.tag == program.tag })
    let map = try MapInfo(of: object.mapDescriptor(named: "flows"))
    #expect(try LoadedObjects.maps().contains(map))
    let namespace = try NetworkNamespace()
    let link = try object.program(named: "no_lookup").attach(to: .socketLookup(networkNamespace: namespace.path))
    let info = try link.info
    #expect(try LoadedObjects.links().contains(info))
  }
}
