import BPFTesting
import MartletDataPlane
import MartletModel
import MartletNetworking
import MartletServices
import Testing

/// What the data plane in memory says of packets. That the kernel says the same is ``DatapathAgreementTests``' matter.
@Suite struct InMemoryDataPlaneTests {
  private func dataPlane(
    _ resources: [Resource] = [], _ change: (inout InMemoryDataPlane.Options) -> Void = { _ in }
  ) throws -> InMemoryDataPlane {
    var options = InMemoryDataPlane.Options(configuration: Scene.configuration)
    change(&options)
    let dataPlane = try InMemoryDataPlane(options, random: SplitMix64(seed: 7))
    #expect(dataPlane.start(with: Scene.cluster.with(resources)) == [])
    return dataPlane
  }

  private func web(_ endpoints: [Scene.Party], _ change: (inout Service) -> Void = { _ in }) -> [Resource] {
    var service = Scene.service()
    change(&service)
    return [.service(service)] + Scene.slices(endpoints)
  }

  private func tcp(
    _ source: Scene.Party, _ destination: Scene.Party, _ family: AddressFamily, from port: UInt16 = 40_000,
    to number: UInt16 = 80, flags: PacketDescription.TCPFlags = .syn, timeToLive: UInt8 = 64
  ) -> PacketDescription {
    PacketDescription(
      from: Scene.address(source, family), to: Scene.address(destination, family),
      .tcp(source: port, destination: number, flags: flags), timeToLive: timeToLive)
  }

  private func answer(to tuple: FlowTuple) -> PacketDescription {
    PacketDescription(
      from: tuple.destination, to: tuple.source,
      .tcp(source: tuple.destinationPort, destination: tuple.sourcePort, flags: [.syn, .ack]))
  }

  @Test(arguments: AddressFamily.allCases) func clusterIPLeadsToPodAndBack(family: AddressFamily) throws {
    let dataPlane = try dataPlane(web([.b]))
    let packet = tcp(.a, .clusterIP, family)
    let fate = try dataPlane.fate(of: packet, from: .pod(Scene.a))
    #expect(fate.verdict == .pod(Scene.b))
    #expect(fate.service?.service == Scene.web)
    #expect(fate.candidates.map(\.address) == [Scene.address(.b, family)])
    let forwarded = try #require(fate.forwarded)
    #expect(forwarded.source == Scene.address(.a, family))
    #expect(forwarded.destination == Scene.address(.b, family))
    #expect(forwarded.destinationPort == 8080)
    let reply = try dataPlane.fate(of: answer(to: forwarded), from: .pod(Scene.b))
    #expect(reply.verdict == .pod(Scene.a))
    #expect(reply.forwarded?.source == Scene.address(.clusterIP, family))
    #expect(reply.forwarded?.sourcePort == 80)
  }

  @Test(arguments: AddressFamily.allCases) func podReachesItselfUnderAnotherName(family: AddressFamily) throws {
    let dataPlane = try dataPlane(web([.a]))
    let fate = try dataPlane.fate(of: tcp(.a, .clusterIP, family), from: .pod(Scene.a))
    #expect(fate.verdict == .pod(Scene.a))
    #expect(fate.forwarded?.source == Scene.address(.here, family))
  }

  @Test(arguments: AddressFamily.allCases) func clientOutsideKeepsItsAddress(family: AddressFamily) throws {
    let dataPlane = try dataPlane(web([.b]))
    let fate = try dataPlane.fate(of: tcp(.world, .here, family, to: 30_080), from: .network)
    #expect(fate.verdict == .pod(Scene.b))
    #expect(fate.forwarded?.source == Scene.address(.world, family))
  }

  /// The other node translates, so that its pod sees the client.
  @Test(arguments: AddressFamily.allCases) func backendElsewhereGetsThePacketAsItIs(family: AddressFamily) throws {
    let dataPlane = try dataPlane(web([.c]))
    let packet = tcp(.world, .externalIP, family)
    let fate = try dataPlane.fate(of: packet, from: .network)
    #expect(fate.verdict == .tunnel(Scene.there))
    #expect(fate.forwarded?.destination == packet.destination)
    #expect(fate.forwarded?.source == packet.source)
  }

  @Test(arguments: AddressFamily.allCases) func replyReturnsThroughTheTunnel(family: AddressFamily) throws {
    for (forwarding, verdict) in [
      (Service.Forwarding.tunnel, PacketFate.Verdict.tunnel(Scene.there)), (.directReturn, .network),
    ] {
      let dataPlane = try dataPlane(web([.b]) { $0.forwarding = forwarding })
      let fate = try dataPlane.fate(of: tcp(.world, .there, family, to: 30_080), from: .tunnel(Scene.there))
      #expect(fate.verdict == .pod(Scene.b))
      let reply = try dataPlane.fate(of: answer(to: try #require(fate.forwarded)), from: .pod(Scene.b))
      #expect(reply.verdict == verdict)
      #expect(reply.forwarded?.source == Scene.address(.there, family))
    }
  }

  @Test(arguments: AddressFamily.allCases) func podLeavesAsTheNode(family: AddressFamily) throws {
    let dataPlane = try dataPlane()
    let fate = try dataPlane.fate(of: tcp(.a, .world, family), from: .pod(Scene.a))
    #expect(fate.verdict == .network)
    #expect(fate.forwarded?.source == Scene.address(.here, family))
    // The same port of another pod has to become another.
    let other = try dataPlane.fate(of: tcp(.b, .world, family), from: .pod(Scene.b))
    #expect(other.forwarded?.source == Scene.address(.here, family))
    #expect(other.forwarded?.sourcePort != 40_000)
    let reply = try dataPlane.fate(of: answer(to: try #require(other.forwarded)), from: .network)
    #expect(reply.verdict == .pod(Scene.b))
    #expect(reply.forwarded?.destinationPort == 40_000)
    let within = try dataPlane.fate(of: tcp(.a, .c, family), from: .pod(Scene.a))
    #expect(within.forwarded?.source == Scene.address(.a, family))
  }

  @Test(arguments: AddressFamily.allCases) func overlayLeadsToPodsElsewhere(family: AddressFamily) throws {
    let dataPlane = try dataPlane { $0.usesOverlay = true }
    #expect(try dataPlane.fate(of: tcp(.a, .c, family), from: .pod(Scene.a)).verdict == .tunnel(Scene.there))
  }

  @Test(arguments: AddressFamily.allCases) func nobodyServes(family: AddressFamily) throws {
    let dataPlane = try dataPlane(web([]))
    func verdict(_ packet: PacketDescription, _ origin: PacketOrigin) throws -> PacketFate.Verdict {
      try dataPlane.fate(of: packet, from: origin).verdict
    }
    #expect(try verdict(tcp(.a, .clusterIP, family), .pod(Scene.a)) == .refused)
    #expect(try verdict(tcp(.a, .clusterIP, family, to: 81), .pod(Scene.a)) == .refused)
    #expect(try verdict(tcp(.a, .clusterIP, family, flags: [.rst]), .pod(Scene.a)) == .dropped(.invalidTCPState))
    #expect(try verdict(tcp(.a, .unallocated, family), .pod(Scene.a)) == .dropped(.serviceAddress))
    #expect(try verdict(tcp(.b, .world, family), .pod(Scene.a)) == .dropped(.sourceAddress))
    #expect(try verdict(tcp(.a, .b, family), .network) == .dropped(.sourceAddress))
    #expect(try verdict(tcp(.a, .b, family, timeToLive: 1), .pod(Scene.a)) == .dropped(.timeToLive))
    #expect(try verdict(tcp(.a, .b, family, flags: [.syn, .fin]), .pod(Scene.a)) == .dropped(.malformed))
    #expect(try verdict(tcp(.world, .b, family), .tunnel("node-9")) == .dropped(.tunnelSource))
    #expect(try verdict(tcp(.world, .here, family, to: 22), .network) == .stack)
  }

  @Test(arguments: AddressFamily.allCases) func policyLocalDropsWithoutLocalPods(family: AddressFamily) throws {
    let dataPlane = try dataPlane(web([.c]) { $0.externalTrafficPolicy = .local })
    let outside = try dataPlane.fate(of: tcp(.world, .here, family, to: 30_080), from: .network)
    #expect(outside.verdict == .dropped(.noLocalBackend))
    // Clients of the node reach external addresses as if the policy were Cluster.
    let inside = try dataPlane.fate(of: tcp(.a, .externalIP, family), from: .pod(Scene.a))
    #expect(inside.candidates.map(\.address) == [Scene.address(.c, family)])
  }

  @Test(arguments: AddressFamily.allCases) func clientsStayUntilTheyHaveBeenAway(family: AddressFamily) throws {
    let dataPlane = try dataPlane(web([.a, .b, .c]) { $0.sessionAffinity = .clientIP(timeout: 60) })
    func backends(from ports: ClosedRange<UInt16>, pause: Duration) throws -> Set<IPAddress> {
      var seen: Set<IPAddress> = []
      for port in ports {
        let fate = try dataPlane.fate(of: tcp(.world, .externalIP, family, from: port), from: .network)
        // What goes to another node is not translated here.
        let isElsewhere = fate.verdict == .tunnel(Scene.there)
        seen.insert(isElsewhere ? Scene.address(.c, family) : try #require(fate.forwarded).destination)
        dataPlane.advance(by: pause)
      }
      return seen
    }
    #expect(try backends(from: 1...30, pause: .seconds(60)).count == 1)
    #expect(try backends(from: 31...60, pause: .seconds(61)).count == 3)
  }

  @Test func udpFlowsForgetBackendsThatAreGone() throws {
    let dataPlane = try dataPlane([.service(Scene.service(.udp))] + Scene.slices([.b], .udp))
    let packet = PacketDescription(
      from: Scene.address(.world, .ipv4), to: Scene.address(.externalIP, .ipv4), .udp(source: 9, destination: 80))
    #expect(try dataPlane.fate(of: packet, from: .network).verdict == .pod(Scene.b))
    #expect(dataPlane.apply(Scene.slices([.a], .udp).map { .set($0) }) == [])
    #expect(try dataPlane.fate(of: packet, from: .network).verdict == .pod(Scene.a))
  }

  @Test func questionsWithoutAnAnswerSayWhy() throws {
    let dataPlane = try dataPlane()
    let mixed = PacketDescription(
      from: Scene.address(.a, .ipv4), to: Scene.address(.b, .ipv6), .udp(source: 1, destination: 2))
    let families = #expect(throws: PacketQuestionError.self) { try dataPlane.fate(of: mixed, from: .network) }
    #expect(families?.description.contains("one family") == true)
    let stranger = #expect(throws: PacketQuestionError.self) {
      try dataPlane.fate(of: tcp(.c, .b, .ipv4), from: .pod(Scene.c))
    }
    #expect(stranger?.description.contains("default/c is not one of node node-1") == true)
  }
}
