import BPF
import BPFTesting
import CBPF
import MartletNetworking
import Testing

extension Requirement {
  /// bpftool(8), which prints the programs as the kernel has translated them.
  static let bpftool = Requirement("bpftool") {
    (try? Command(["bpftool", "version"]).output()) == nil ? Missing(cause: "ENOENT", attempt: "running bpftool") : nil
  }
}

/// What packets of established flows cost: one lookup in a hash table, and no call of another program.
@Suite(.requiresBPF, .requires(.bpftool)) struct EstablishedPathTests {
  @Test(arguments: [Place.fromPod(.pod1), .toPod(.pod1), .fromNet, .toNet]) func oneLookup(place: Place) throws {
    let id = try DatapathFixture().program(at: place).info.id
    let program = try TranslatedProgram(id: id)
    #expect(!program.instructions.values.contains { $0.contains("tail_call") })
    // Neighbour discovery is asked for its namespace; what changes a flow takes the slow path.
    let most = try program.mostCalls(of: "htab_map_lookup_elem", avoiding: ["slow_path", "remember_namespace"])
    #expect(most == 1)
    #expect(try program.mostCalls(of: "htab_map_lookup_elem", avoiding: []) > 1, "the slow path has more")
  }

  /// Nothing but the packet's own half of the flow is needed to forward it.
  @Test(arguments: AddressFamily.allCases) func theFlowSuffices(family: AddressFamily) throws {
    let fixture = try DatapathFixture()
    try fixture.serve(at: .service, 80, .tcp, family, by: [(.pod2, 8080)])
    let (client, service, server) = (
      EndAddress(Party.pod1.address(family), 40_000), EndAddress(Party.service.address(family), 80),
      EndAddress(Party.pod2.address(family), 8080)
    )
    let talk = Conversation.tcp
    try fixture.send(talk.packet(.opening, from: client, to: service), at: .fromPod(.pod1)).expect(.redirect)
    try fixture.send(talk.packet(.answer, from: server, to: client), at: .fromPod(.pod2)).expect(.redirect)
    try fixture.send(talk.packet(.confirmation, from: client, to: service), at: .fromPod(.pod1)).expect(.redirect)
    let datapath = fixture.datapath
    try datapath.frontends.removeAll()
    try datapath.addresses.removeAll()
    #expect(try datapath.flows.remove(flow_tuple(.tcp, server, client)))
    try fixture.send(talk.packet(.data, from: client, to: service), at: .fromPod(.pod1))
      .expect(.redirect, talk.packet(.data, from: client, to: server, timeToLive: 63))
  }
}

/// The main function of a loaded program, as bpftool prints it.
private struct TranslatedProgram {
  /// By number; without those that are the second half of another.
  var instructions: [Int: String] = [:]

  init(id: UInt32) throws {
    let text = try Command(["bpftool", "prog", "dump", "xlated", "id", "\(id)"]).output()
    for line in text.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard let number = Int(parts[0].filter { $0 != " " }), parts.count == 2 else { continue }
      instructions[number] = String(parts[1])
    }
  }

  /// The most calls of `function` on any way from the first instruction to an exit, of those ways that call none of
  /// `avoided`. Throws if there is a loop.
  func mostCalls(of function: String, avoiding avoided: [String]) throws -> Int {
    var known: [Int: Int?] = [:]
    var pending = [0]
    while let number = pending.last {
      guard known[number] == nil else {
        pending.removeLast()
        continue
      }
      guard let text = instructions[number], !avoided.contains(where: { text.contains("call") && text.contains($0) })
      else {
        known[number] = .some(nil)
        continue
      }
      let next = successors(of: number, text)
      let unknown = next.filter { known[$0] == nil }
      guard unknown.isEmpty else {
        if unknown.contains(where: pending.contains) { throw Loop(instruction: number) }
        pending += unknown
        continue
      }
      let own = text.contains("call") && text.contains(function) ? 1 : 0
      let ways = next.compactMap { known[$0] ?? nil }
      known[number] = .some(next.isEmpty ? own : ways.max().map { $0 + own })
    }
    return (known[0] ?? nil) ?? 0
  }

  private func successors(of number: Int, _ text: String) -> [Int] {
    if text.hasSuffix("exit") { return [] }
    // A 64-bit constant takes two places.
    let following = instructions[number + 1] == nil ? number + 2 : number + 1
    guard !text.contains("call"), let jump = text.firstRange(of: "goto pc") else { return [following] }
    let target = number + 1 + (Int(text[jump.upperBound...]) ?? 0)
    return text.contains("if ") ? [following, target] : [target]
  }

  struct Loop: Error {
    var instruction: Int
  }
}
