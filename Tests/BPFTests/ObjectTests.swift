import BPF
import BPFTesting
import Testing

@Suite(.requiresBPF) struct ObjectTests {
  @Test func constantsReachTheProgram() throws {
    let opening = try OpenObject.sample(programs: ["add_mark"])
    try opening.setConstant("added_mark", to: UInt32(40))
    try opening.setConstant("answer", to: UInt64(42))
    let program = try opening.load().program(named: "add_mark")
    let result = try program.testRun(packet, context: SocketBufferContext(mark: 2))
    #expect(result.context.mark == 42 && result.context.priority == 42)
  }

  @Test func resizedMapHasItsSize() throws {
    let opening = try OpenObject.sample(programs: [])
    try opening.resize(map: "flows", to: 99)
    let map = try opening.load().mapDescriptor(named: "flows")
    let info = try MapInfo(of: map)
    #expect(info.maxEntries == 99 && info.type == .hash && info.keySize == 8 && info.valueSize == 16)
  }

  @Test func onlySelectedProgramsAreLoaded() throws {
    let object = try Object.sample(programs: ["xdp_pass", "pass"])
    #expect(object.programNames == ["pass", "xdp_pass"])
    let error = try #require(throws: BPFError.self) { _ = try object.program(named: "refuse") }
    #expect(error.kind == .notFound && error.hint == "it has pass, xdp_pass")
    #expect(throws: BPFError.self) { _ = try object.mapDescriptor(named: "flow") }
  }

  @Test func handlesOutliveTheObject() throws {
    struct Handles: ~Copyable {
      let program: Program
      let hits: ArrayMap<UInt64>
    }
    func load() throws -> Handles {
      let object = try Object.sample(programs: ["pass"])
      return Handles(
        program: try object.program(named: "pass"), hits: try ArrayMap(object.mapDescriptor(named: "hits")))
    }
    let handles = try load()
    #expect(try handles.program.testRun(packet).returnValue == 0)
    #expect(try handles.hits.get(0) == 1)
  }

  @Test func refusedProgramComesWithTheVerifiersWords() throws {
    let opening = try OpenObject(hexadecimal: BPFPrograms.rejected, name: "rejected")
    let failure = loadError(opening)
    let error = try #require(failure)
    #expect(error.kind == .rejected)
    #expect(error.errnoName == "EACCES")
    #expect(error.object == "program no_null_check of rejected")
    #expect(error.log?.program == "no_null_check")
    #expect(error.log?.summary?.hasPrefix("R0 invalid mem access 'map_value_or_null' at ") == true)
    #expect(error.log?.summary?.contains("rejected.bpf.c:") == true)
    #expect(error.log?.text.contains("processed ") == true)
    #expect(!error.description.contains("\n") && !error.description.contains("ulimit"))
  }

  @Test func otherProgramsOfARefusedObjectLoadAlone() throws {
    let opening = try OpenObject(hexadecimal: BPFPrograms.rejected, name: "rejected")
    try opening.select(programs: ["fine"])
    #expect(try opening.load().programNames == ["fine"])
  }

  @Test func mapThatCannotBeCreatedIsNamed() throws {
    let opening = try OpenObject.sample(programs: [])
    try opening.resize(map: "hits", to: 0)
    let failure = loadError(opening)
    let error = try #require(failure)
    #expect(error.object == "map hits of sample" && error.kind == .invalid)
  }
}

/// Reuse of maps that exist.
@Suite(.requiresBPF) struct MapReuseTests {
  @Test func reusedMapIsTheSameMap() throws {
    let existing = try Object.sample(programs: []).mapDescriptor(named: "flows")
    let opening = try OpenObject.sample(programs: [])
    try opening.reuse(map: "flows", descriptor: existing)
    let reused = try opening.load().mapDescriptor(named: "flows")
    let ids = (try MapInfo(of: existing).id, try MapInfo(of: reused).id)
    #expect(ids.0 == ids.1)
  }

  @Test func differentShapeIsRefusedFieldByField() throws {
    let existing = try LRUHashMap<UInt32, UInt32>(name: "other", capacity: 8)
    let opening = try OpenObject.sample(programs: [])
    let error = try #require(throws: BPFError.self) {
      try opening.reuse(map: "flows", descriptor: existing.raw.descriptor)
    }
    #expect(error.kind == .layout && error.object == "map flows")
    for phrase in [
      "type is lru_hash, not hash", "key size is 4, not 8", "value size is 4, not 16", "capacity is 8, not 16",
    ] {
      #expect(error.hint?.contains(phrase) == true, "\(error)")
    }
  }

  @Test func sameSizesWithOtherMembersAreRefused() throws {
    let existing = try OpenObject(hexadecimal: BPFPrograms.relayout, name: "relayout").load()
    let flows = try existing.mapDescriptor(named: "flows")
    let opening = try OpenObject.sample(programs: [])
    let error = try #require(throws: BPFError.self) { try opening.reuse(map: "flows", descriptor: flows) }
    #expect(error.kind == .layout)
    #expect(
      error.hint?.contains("key has zone at byte 4, 2 bytes instead of port at byte 4, 2 bytes") == true, "\(error)")
  }

  @Test func pinnedMapIsFoundAgainAndItsLayoutChecked() throws {
    let pins = try TemporaryBPFFilesystem()
    func pinned(_ object: consuming OpenObject) throws -> UInt32 {
      try object.pin(map: "flows", at: pins.path + "/flows")
      return try MapInfo(of: object.load().mapDescriptor(named: "flows")).id
    }
    let first = try pinned(OpenObject.sample(programs: []))
    #expect(try pinned(OpenObject.sample(programs: [])) == first)
    let error = try #require(throws: BPFError.self) {
      _ = try pinned(OpenObject(hexadecimal: BPFPrograms.relayout, name: "relayout"))
    }
    #expect(error.kind == .layout && error.object.hasPrefix("map flows at /"), "\(error)")
  }

  @Test func layoutOfAKernelMapShowsMembersAndHoles() throws {
    let object = try OpenObject(hexadecimal: BPFPrograms.relayout, name: "relayout").load()
    let flows = try BTFLayout.ofMap(try object.mapDescriptor(named: "flows"))
    #expect(flows.key?.name == "flow_key" && flows.key?.size == 8 && flows.key?.holes == [])
    #expect(flows.key?.members.map(\.name) == ["address", "zone", "port"])
    #expect(flows.value?.members.map(\.bitOffset) == [0, 64])
    let padded = try BTFLayout.ofMap(try object.mapDescriptor(named: "padded"))
    #expect(padded.key?.holes == [1..<4, 11..<12, 15..<16])
    #expect(padded.key?.members.last?.name == "ranges[1].second")
  }
}

/// What loading `object` throws; `nil` if nothing.
private func loadError(_ object: consuming OpenObject) -> BPFError? {
  do throws(BPFError) {
    _ = try object.load()
    return nil
  } catch {
    return error
  }
}

/// An Ethernet frame of 64 bytes whose contents do not matter.
let packet = [UInt8](repeating: 0, count: 12) + [0x08, 0x00] + [UInt8](repeating: 0x11, count: 50)
