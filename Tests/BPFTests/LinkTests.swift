import BPF
import BPFTesting
import Glibc
import Testing

/// Hooks of interfaces, each test in a namespace of its own.
@Suite(.requiresBPF) struct InterfaceLinkTests {
  /// A namespace with an interface `near` that leads to another namespace.
  private struct Wire {
    let namespace: NetworkNamespace
    let far: NetworkNamespace
    let interface: UInt32

    init() throws {
      namespace = try NetworkNamespace()
      far = try NetworkNamespace()
      interface = try namespace.addVeth("near", peer: far, "far").near.index
    }

    /// The ids of the programs at ingress, in order, and the list's revision.
    func programs(_ hook: Hook? = nil) throws -> [UInt32] {
      let hook = hook ?? .tcx(.ingress, interface: interface)
      return try namespace.run { try hook.attached().programs.map(\.programID) }
    }

    func attach(_ program: borrowing Program, _ attachment: AttachTarget) throws -> Link {
      let descriptor = try program.duplicate()
      return try namespace.run { try descriptor.attach(to: attachment) }
    }

    func tcx(at anchor: Anchor = .tail, expecting revision: UInt64? = nil) -> AttachTarget {
      .tcx(.ingress, interface: interface, at: anchor, expecting: revision)
    }
  }

  private func classifier(_ name: String) throws -> Program {
    try Program(type: .schedClassifier, name: name, instructions: [.move(.r0, -1), .exit])
  }

  @Test func anchorsDecideTheOrder() throws {
    let wire = try Wire()
    let a = try classifier("a")
    let b = try classifier("b")
    let c = try classifier("c")
    let d = try classifier("d")
    let first = try wire.attach(a, wire.tcx())
    let second = try wire.attach(b, wire.tcx())
    let third = try wire.attach(c, wire.tcx(at: .head))
    let fourth = try wire.attach(d, wire.tcx(at: .before(.link(id: second.info.id))))
    let ids = [try c.info.id, try a.info.id, try d.info.id, try b.info.id]
    #expect(try wire.programs() == ids)
    let e = try classifier("e")
    let fifth = try wire.attach(e, wire.tcx(at: .after(.program(id: a.info.id))))
    let place = try wire.programs().firstIndex(of: e.info.id)
    #expect(place == 2)
    try fifth.detach()
    try fourth.detach()
    try third.detach()
    try second.detach()
    try first.detach()
    #expect(try wire.programs().isEmpty)
  }

  @Test func staleRevisionIsItsOwnKind() throws {
    let wire = try Wire()
    let hook = Hook.tcx(.ingress, interface: wire.interface)
    let before = try wire.namespace.run { try hook.attached().revision }
    let a = try classifier("a")
    let link = try wire.attach(a, wire.tcx(expecting: before))
    let b = try classifier("b")
    let error = try #require(throws: BPFError.self) { _ = try wire.attach(b, wire.tcx(expecting: before)) }
    #expect(error.kind == .stale && error.errnoName == "ESTALE")
    #expect(error.hint?.hasPrefix("the list is at revision ") == true)
    try link.detach()
  }

  @Test func sameProgramTwiceNamesTheOccupant() throws {
    let wire = try Wire()
    let program = try classifier("only_once")
    let link = try wire.attach(program, wire.tcx())
    let error = try #require(throws: BPFError.self) { _ = try wire.attach(program, wire.tcx()) }
    #expect(error.kind == .exists)
    #expect(error.hint?.contains("held by program only_once (id \(try program.info.id)) by link") == true)
    #expect(error.object == "program only_once to tcx ingress of near")
    try link.detach()
  }

  @Test func linkInfoTellsTheHook() throws {
    let wire = try Wire()
    let program = try classifier("a")
    let link = try wire.attach(program, wire.tcx())
    let info = try link.info
    #expect(info.type == .tcx && info.interface == wire.interface && info.cgroup == nil)
    #expect(info.programID == (try program.info.id))
    let hook = Hook.tcx(.ingress, interface: wire.interface)
    let entries = try wire.namespace.run { try hook.attached().programs }
    #expect(entries.first?.linkID == info.id)
  }

  @Test func updateTakesThePlaceOfTheProgram() throws {
    let wire = try Wire()
    let old = try classifier("old")
    let new = try classifier("new")
    let link = try wire.attach(old, wire.tcx())
    try link.update(to: new)
    #expect(try wire.programs() == [new.info.id])
    let stale = try #require(throws: BPFError.self) { try link.update(to: old, replacing: old) }
    #expect(stale.kind == .stale && stale.hint?.contains("it holds program new") == true)
    try link.update(to: old, replacing: new)
    #expect(try wire.programs() == [old.info.id])
  }

  @Test func pinnedLinkStaysAttachedUntilDetached() throws {
    let wire = try Wire()
    let pins = try TemporaryBPFFilesystem()
    let program = try classifier("pinned")
    do {
      let link = try wire.attach(program, wire.tcx())
      try link.pin(at: pins.path + "/link")
    }
    #expect(try wire.programs() == [program.info.id])
    let opened = try Link(pinnedAt: pins.path + "/link")
    let byID = try Link(id: opened.info.id)
    #expect(try byID.info == opened.info)
    try opened.detach()
    #expect(try wire.programs().isEmpty)
    #expect(try byID.info.interface == 0)
  }

  @Test func disownedLinkStaysAttached() throws {
    let wire = try Wire()
    let program = try classifier("disowned")
    let id: UInt32
    do {
      let link = try wire.attach(program, wire.tcx())
      id = try link.info.id
      link.disown()
    }
    #expect(try wire.programs() == [program.info.id])
    try Link(id: id).detach()
  }

  @Test func secondXDPProgramIsToldWhoIsThere() throws {
    let wire = try Wire()
    let first = try Program(type: .xdp, name: "first", instructions: [.move(.r0, 2), .exit])
    let link = try wire.attach(first, .xdp(interface: wire.interface, mode: .generic))
    let hook = Hook.xdp(interface: wire.interface)
    let attached = try wire.namespace.run { try hook.attached() }
    #expect(attached.programs.map(\.programID) == [try first.info.id] && attached.programs.first?.mode == .generic)
    let second = try Program(type: .xdp, name: "second", instructions: [.move(.r0, 2), .exit])
    let error = try #require(throws: BPFError.self) {
      _ = try wire.attach(second, .xdp(interface: wire.interface, mode: .generic))
    }
    let id = try first.info.id
    #expect(error.kind == .busy && error.hint == "held by program first (id \(id))", "\(error)")
    try link.update(to: second)
    #expect(try wire.programs(hook) == [second.info.id])
    try link.detach()
    #expect(try wire.programs(hook).isEmpty)
  }

  @Test func missingInterfaceIsNamed() throws {
    let wire = try Wire()
    let program = try classifier("a")
    let error = try #require(throws: BPFError.self) {
      _ = try wire.attach(program, .tcx(.egress, interface: 12345))
    }
    #expect(error.kind == .notFound && error.object == "program a to tcx egress of interface 12345")
  }

  @Test func programOfAnotherTypeIsRefused() throws {
    let program = try Program(type: .xdp, name: "x", instructions: [.move(.r0, 2), .exit])
    let error = try #require(throws: BPFError.self) { _ = try program.attach(to: .tcx(.ingress, interface: 1)) }
    #expect(error.kind == .invalid)
    #expect(error.hint == "the hook runs programs of type sched_cls, this one is of type xdp")
  }

  @Test func classicFilterCountsPacketsUntilItGoes() throws {
    let wire = try Wire()
    let object = try Object.sample(programs: ["pass", "next"])
    let hits = try ArrayMap<UInt64>(object.mapDescriptor(named: "hits"))
    let pass = try object.program(named: "pass")
    let next = try object.program(named: "next")
    let (before, during, after) = try wire.namespace.run {
      let interface = if_nametoindex("near")
      let filter = try ClassifierFilter(pass, .egress, interface: interface, priority: 7)
      let shown = try Command(["tc", "filter", "show", "dev", "near", "egress"]).output()
      try filter.update(to: next)
      let updated = try Command(["tc", "filter", "show", "dev", "near", "egress"]).output()
      try filter.detach()
      return (shown, updated, try Command(["tc", "filter", "show", "dev", "near", "egress"]).output())
    }
    #expect(before.contains("pref 7") && before.contains("pass"))
    #expect(during.contains("pref 7") && during.contains("next"))
    #expect(!after.contains("bpf"))
    #expect(try hits.get(0) != nil)
  }

  @Test func classicFilterGoesWithItsValue() throws {
    let wire = try Wire()
    let pass = try classifier("scoped")
    let (during, after) = try wire.namespace.run {
      let during: String
      do {
        let filter = try ClassifierFilter(pass, .ingress, interface: if_nametoindex("near"))
        during = try Command(["tc", "filter", "show", "dev", "near", "ingress"]).output()
        _ = filter.priority
      }
      return (during, try Command(["tc", "filter", "show", "dev", "near", "ingress"]).output())
    }
    #expect(during.contains("scoped") && !after.contains("scoped"))
  }
}

@Suite(.requiresBPF) struct SocketLinkTests {
  /// The error number of a UDP `connect` to the loopback, 0 if it succeeds.
  private static func connectError() -> Int32 {
    let number = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(number) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(9).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let failed = withUnsafeBytes(of: &address) { bytes in
      connect(number, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    return failed == 0 ? 0 : errno
  }

  @Test func cgroupProgramRefusesConnectUntilDetached() throws {
    let object = try Object.sample(programs: ["refuse"])
    let program = try object.program(named: "refuse")
    let cgroup = try TemporaryCgroup()
    let namespace = try NetworkNamespace()
    #expect(try namespace.run(in: cgroup) { Self.connectError() } == 0)
    let link = try program.attach(to: .cgroup(.connect4, path: cgroup.path))
    #expect(try namespace.run(in: cgroup) { Self.connectError() } == EPERM)
    #expect(try namespace.run { Self.connectError() } == 0)
    #expect(try link.info.cgroup != nil)
    let attached = try Hook.cgroup(.connect4, path: cgroup.path).attached()
    #expect(attached.programs.map(\.programID) == [try program.info.id])
    try link.detach()
    #expect(try namespace.run(in: cgroup) { Self.connectError() } == 0)
  }

  @Test func wrongCgroupHookPointsAtTheDeclaration() throws {
    let program = try Object.sample(programs: ["refuse"]).program(named: "refuse")
    let cgroup = try TemporaryCgroup()
    let error = try #require(throws: BPFError.self) {
      _ = try program.attach(to: .cgroup(.connect6, path: cgroup.path))
    }
    #expect(error.kind == .invalid && error.hint == "was the program declared for this hook (SEC)?", "\(error)")
  }

  @Test func missingCgroupIsNamed() throws {
    let program = try Object.sample(programs: ["refuse"]).program(named: "refuse")
    let error = try #require(throws: BPFError.self) {
      _ = try program.attach(to: .cgroup(.connect4, path: "/nowhere/cgroup"))
    }
    #expect(error.kind == .notFound && error.object == "/nowhere/cgroup")
  }

  @Test func socketLookupIsAttachedToANamespace() throws {
    let program = try Object.sample(programs: ["no_lookup"]).program(named: "no_lookup")
    let namespace = try NetworkNamespace()
    let link = try program.attach(to: .socketLookup(networkNamespace: namespace.path))
    #expect(try link.info.type == .networkNamespace)
    let inode = try link.info.networkNamespace
    #expect(inode != nil && inode != 0)
    let attached = try Hook.socketLookup(networkNamespace: namespace.path).attached()
    #expect(attached.programs.map(\.programID) == [try program.info.id])
  }
}
