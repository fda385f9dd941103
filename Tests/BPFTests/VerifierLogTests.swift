import BPF
import Testing

@Suite struct VerifierLogTests {
  private let refusal = """
    libbpf: prog 'ingress': BPF program load failed: Permission denied
    libbpf: prog 'ingress': -- BEGIN PROG LOAD LOG --
    0: R1=ctx() R10=fp0
    ; __u64 *count = bpf_map_lookup_elem(&counts, &key); @ nat.bpf.c:8
    5: (85) call bpf_map_lookup_elem#1    ; R0_w=map_value_or_null(id=1)
    ; return *count; @ nat.bpf.c:9
    6: (79) r0 = *(u64 *)(r0 +0)
    R0 invalid mem access 'map_value_or_null'
    verification time 91 usec
    stack depth 4
    processed 7 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
    -- END PROG LOAD LOG --
    libbpf: failed to load object 'nat'

    """

  @Test func verdictIsFoundAmongTheTrace() throws {
    let log = try #require(VerifierLog(text: refusal))
    #expect(log.program == "ingress")
    #expect(log.summary == "R0 invalid mem access 'map_value_or_null' at nat.bpf.c:9: return *count;")
    #expect(log.text == refusal)
  }

  @Test func verdictIsFoundWhereverItStands() throws {
    var lines = refusal.split(separator: "\n", omittingEmptySubsequences: false)
    let verdict = lines.remove(at: 7)
    lines.insert(verdict, at: 2)
    let log = try #require(VerifierLog(text: lines.joined(separator: "\n")))
    #expect(log.excerpt == ["R0 invalid mem access 'map_value_or_null'"])
  }

  @Test func unknownVerdictShowsTheLastMessages() throws {
    let log = try #require(
      VerifierLog(text: refusal.replacing("R0 invalid mem access 'map_value_or_null'", with: "the moon is full")))
    #expect(log.excerpt == ["the moon is full"])
  }

  @Test func withoutAVerifierTheFirstMessageIsTheCause() throws {
    let log = try #require(
      VerifierLog(text: "libbpf: map 'm': failed to create: Invalid argument(-22)\nlibbpf: failed to load object 'o'\n")
    )
    #expect(log.summary == "map 'm': failed to create: Invalid argument(-22)")
    #expect(log.program == nil)
  }

  @Test func nothingIsNoLog() { #expect(VerifierLog(text: "") == nil) }
}
