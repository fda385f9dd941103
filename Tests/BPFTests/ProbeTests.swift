import BPF
import BPFTesting
import Testing

@Suite(.requiresBPF) struct ProbeTests {
  @Test(arguments: [ProgramType.schedClassifier, .xdp, .cgroupSocketAddress, .cgroupSocketBuffer, .syscall])
  func programTypesInUseAreAvailable(type: ProgramType) {
    #expect(Probe.programType(type).result == .available)
  }

  @Test(arguments: [
    MapType.hash, .array, .perCPUArray, .lruHash, .lpmTrie, .hashOfMaps, .queue, .ringBuffer, .bloomFilter,
  ])
  func mapTypesInUseAreAvailable(type: MapType) {
    #expect(Probe.mapType(type).result == .available)
  }

  @Test func typesThatNoKernelHasAreUnavailable() {
    let program = Probe.programType(ProgramType(rawValue: 1000))
    #expect(program.result == .unavailable(needs: program.feature))
    let map = Probe.mapType(MapType(rawValue: 1000))
    #expect(map.result == .unavailable(needs: map.feature))
  }

  @Test func typesThatNeedMoreAreUnknown() {
    guard case .unknown = Probe.mapType(.socketStorage).result else {
      Issue.record("a map that needs type information cannot be probed")
      return
    }
  }

  @Test func helpersDependOnTheProgramType() {
    #expect(Probe.helper(1, name: "bpf_map_lookup_elem", in: .xdp).result == .available)
    let redirect = Probe.helper(51, name: "bpf_redirect_map", in: .schedClassifier)
    #expect(redirect.result == .unavailable(needs: redirect.feature))
    #expect(Probe.helper(51, name: "bpf_redirect_map", in: .xdp).result == .available)
    let unknown = Probe.helper(100_000, name: "bpf_nothing", in: .xdp)
    #expect(unknown.result == .unavailable(needs: unknown.feature))
  }

  @Test(arguments: [Probe.tcx, .timer, .socketLookup, .arena, .netfilter, .checksumReplaceIPv6, .netkit])
  func kernelsNewEnoughHaveTheFeature(probe: Probe) throws {
    let (since, running) = (try #require(probe.feature.since), try #require(KernelVersion.running))
    switch probe.result {
    case .available: break
    case .unavailable(let needs):
      #expect(needs == probe.feature)
      // A kernel may be built without it, but for these that is a fault of the probe.
      #expect(running < since || [.netkit, .netfilter, .arena].contains(probe.feature), "\(probe.feature)")
    case .unknown(let reason): Issue.record("\(probe.feature): \(reason)")
    }
  }
}
