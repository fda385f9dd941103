import BPF
import BPFTesting
import CBPF
import Dispatch
import Glibc
import MartletNetworking
import Synchronization
import Testing

/// Whose a tuple is: while a flow goes on nobody else is given it, not even by two processors at once.
@Suite(.requiresBPF, .serialized) struct FlowTupleTests {
  /// Where processors wait for each other before each round.
  private final class Barrier: Sendable {
    private let count = Atomic<Int>(0)

    func wait(_ round: Int, of parties: Int) {
      count.add(1, ordering: .sequentiallyConsistent)
      while count.load(ordering: .sequentiallyConsistent) < parties * (round + 1) {}
    }
  }

  /// Sends as many packets as there are rounds from each of two processors at once; returns what became of them.
  private func race(_ fixture: DatapathFixture, _ pods: [Party], _ packets: [[[UInt8]]]) -> [[ParsedPacket?]] {
    let barrier = Barrier()
    let seen = Mutex<[[ParsedPacket?]]>(Array(repeating: [], count: pods.count))
    DispatchQueue.concurrentPerform(iterations: pods.count) { which in
      let place = Place.fromPod(pods[which])
      let context = SocketBufferContext(mark: 0, ingressInterface: 0, interface: fixture.interface(at: place).index)
      let outcomes = try? fixture.node.run {
        let program = try fixture.program(at: place)
        return packets[which].indices.map { round in
          barrier.wait(round, of: pods.count)
          let result = try? program.testRun(packets[which][round], context: context)
          return result?.returnValue == 7 ? result.map { ParsedPacket($0.packet) } : nil
        }
      }
      seen.withLock { $0[which] = outcomes ?? [] }
    }
    return seen.withLock { $0 }
  }

  @Test func podsThatShareTheNodesAddressNeverShareAPort() throws {
    let rounds = 2_000
    var options = DatapathFixture.Options()
    options.unconfirmedCapacity = 1 << 15
    let fixture = try DatapathFixture(options)
    try fixture.masquerade(.ipv4)
    let (pods, remote) = ([Party.pod1, .pod2], EndAddress(Party.remote.address(.ipv4), 443))
    let packets = pods.map { pod in
      (0..<rounds).map { round in
        Conversation.udp.packet(
          .opening, from: EndAddress(pod.address(.ipv4), UInt16(10_000 + round)), to: remote
        ).bytes
      }
    }
    let seen = race(fixture, pods, packets)
    for round in 0..<rounds {
      let ports = seen.map { $0[round]?.sourcePort }
      #expect(ports[0] != nil && ports[1] != nil && ports[0] != ports[1], "round \(round)")
    }
    #expect(try fixture.counts() == ["from_pod": UInt64(2 * rounds), "flows_created": UInt64(2 * rounds)])
    #expect(try fixture.halfCounts() == (0, 4 * rounds))
  }

  @Test func packetsOfOneFlowGoToOneBackend() throws {
    let rounds = 2_000
    var options = DatapathFixture.Options()
    options.unconfirmedCapacity = 1 << 15
    let fixture = try DatapathFixture(options)
    try fixture.serve(at: .service, 53, .udp, .ipv4, by: (0..<8).map { (.pod2, 5_300 + UInt16($0)) })
    let service = EndAddress(Party.service.address(.ipv4), 53)
    let packets = (0..<rounds).map { round in
      Conversation.udp.packet(
        .opening, from: EndAddress(Party.pod1.address(.ipv4), UInt16(10_000 + round)), to: service
      ).bytes
    }
    let seen = race(fixture, [.pod1, .pod1], [packets, packets])
    for round in 0..<rounds {
      let ports = seen.map { $0[round]?.destinationPort }
      #expect(ports[0] != nil && ports[0] == ports[1], "round \(round)")
    }
    #expect(try fixture.counts()["flows_created"] == UInt64(rounds))
    #expect(try fixture.halfCounts() == (0, 2 * rounds), "a half that was in vain is taken back")
  }

  @Test(arguments: AddressFamily.allCases) func flowThatOnlyOneSideSpeaksOnKeepsItsPort(family: AddressFamily) throws {
    var options = DatapathFixture.Options()
    options.timeouts = FlowTimeouts(
      new: .milliseconds(150), replied: .milliseconds(150), established: .milliseconds(150),
      closing: .milliseconds(150), closed: .milliseconds(100))
    let fixture = try DatapathFixture(options)
    try fixture.masquerade(family)
    let remote = EndAddress(Party.remote.address(family), 514)
    func say(_ pod: Party) throws -> UInt16? {
      let packet = Conversation.udp.packet(.opening, from: EndAddress(pod.address(family), 514), to: remote)
      return try fixture.send(packet, at: .fromPod(pod)).parsed.sourcePort
    }
    for _ in 0..<8 {
      #expect(try say(.pod1) == 514)
      usleep(50_000)
    }
    #expect(try say(.pod2) != 514, "nobody has answered, but it has never been idle")
    #expect(try say(.pod1) == 514)
  }
}
