import BPF
import BPFTesting
import Testing

@Suite(.requiresBPF) struct TestRunTests {
  @Test func socketBufferContextGoesInAndComesOut() throws {
    let program = try Object.sample(programs: ["add_mark"]).program(named: "add_mark")
    var context = SocketBufferContext(mark: 6, priority: 3)
    context.controlBlock.0 = 9
    let result = try program.testRun(packet, context: context)
    #expect(result.returnValue == 0 && result.packet == packet)
    #expect(result.context.mark == 7 && result.context.priority == 0)
    #expect(result.context.controlBlock.0 == 9 && result.context.controlBlock.1 == 7)
  }

  @Test func packetComesBackChanged() throws {
    let program = try Object.sample(programs: ["rewrite"]).program(named: "rewrite")
    let result = try program.testRun(packet)
    #expect(result.packet.first == 0xaa && Array(result.packet.dropFirst()) == Array(packet.dropFirst()))
  }

  @Test func packetThatGrowsNeedsRoom() throws {
    let program = try Object.sample(programs: ["grow"]).program(named: "grow")
    let error = try #require(throws: BPFError.self) { _ = try program.testRun(packet) }
    #expect(error.kind == .full && error.hint?.contains("664 bytes") == true)
    #expect(try program.testRun(packet, growth: 600).packet.count == 664)
  }

  @Test func xdpMetadataGoesInAndComesOut() throws {
    let program = try Object.sample(programs: ["xdp_metadata"]).program(named: "xdp_metadata")
    let result = try program.testRun(packet, context: XDPContext(metadata: [41, 0, 0, 1]))
    #expect(result.returnValue == 3)
    #expect(result.context.metadata == [42, 0, 0, 1] && result.packet == packet)
    #expect(try program.testRun(packet, context: XDPContext()).returnValue == 0)
  }

  @Test func cgroupProgramSeesTheContext() throws {
    let program = try Object.sample(programs: ["cgroup_mark"]).program(named: "cgroup_mark")
    let result = try program.testRun(packet, context: SocketBufferContext(mark: 1))
    #expect(result.returnValue == 1 && result.context.mark == 5)
  }

  @Test func syscallProgramChangesItsContext() throws {
    let program = try Object.sample(programs: ["square"]).program(named: "square")
    var number: UInt64 = 12
    #expect(try program.call(&number) == 7)
    #expect(number == 144)
  }

  @Test func contextOfAnotherKindIsRefused() throws {
    let program = try Object.sample(programs: ["pass"]).program(named: "pass")
    let error = try #require(throws: BPFError.self) { _ = try program.testRun(packet, context: XDPContext()) }
    #expect(error.kind == .invalid && error.hint == "XDPContext is not for programs of type sched_cls")
  }

  @Test func shortPacketIsExplained() throws {
    let program = try Object.sample(programs: ["pass"]).program(named: "pass")
    let error = try #require(throws: BPFError.self) { _ = try program.testRun([1, 2, 3]) }
    #expect(error.kind == .invalid && error.hint == "a packet of 3 bytes is shorter than an Ethernet header")
  }
}

@Suite(.requiresBPF) struct BenchmarkTests {
  @Test func freshRunsCountOneEach() throws {
    let object = try Object.sample(programs: ["pass"])
    let samples = try object.program(named: "pass").benchmark(samples: 50, warmUp: 5) { _ in packet }
    #expect(samples.nanoseconds.count == 50 && samples.minimum <= samples.median && samples.median <= samples.maximum)
    #expect(try ArrayMap<UInt64>(object.mapDescriptor(named: "hits")).get(0) == 55)
  }

  @Test func repeatedRunsWantAProgramThatChangesNothing() throws {
    let object = try Object.sample(programs: ["pass", "rewrite", "add_mark", "alternate"])
    _ = try object.program(named: "pass").benchmark(count: 1000, repeated: packet)
    for (name, reason) in [
      ("rewrite", "it changes its packet"), ("add_mark", "it changes its context"),
      ("alternate", "it returned "),
    ] {
      let program = try object.program(named: name)
      let error = try #require(throws: BPFError.self) { _ = try program.benchmark(count: 1000, repeated: packet) }
      #expect(error.kind == .invalid && error.hint?.hasPrefix(reason) == true, "\(error)")
    }
  }

  @Test func repeatedXDPRunsAreTimed() throws {
    let program = try Object.sample(programs: ["xdp_pass"]).program(named: "xdp_pass")
    let mean = try program.benchmark(count: 100_000, context: XDPContext(), repeated: packet)
    #expect(mean < 10_000)
  }
}

@Suite struct LatencySamplesTests {
  @Test func percentilesAreSamples() {
    let samples = LatencySamples((1...100).reversed())
    #expect(samples.percentile(50) == 50 && samples.percentile(99) == 99 && samples.percentile(100) == 100)
    #expect(samples.percentile(0) == 1 && samples.minimum == 1 && samples.maximum == 100)
    #expect(LatencySamples([7]).median == 7)
  }
}
