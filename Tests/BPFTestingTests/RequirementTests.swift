import Testing

@testable import BPFTesting

@Suite struct RequirementTests {
  static let absent = Requirement("quantum") { .init(cause: "EOPNOTSUPP", attempt: "entangling") }
  let missing = absent.missing

  @Test func presentFeatureRuns() throws {
    let feature = Requirement("quantum") { nil }
    #expect(try mayRun(feature, missing: feature.missing, requiresKernel: true, skips: .success(.init())))
  }

  @Test func missingFeatureSkipsWhereNothingIsRequired() throws {
    #expect(try !mayRun(Self.absent, missing: missing, requiresKernel: false, skips: .success(.init())))
  }

  @Test func missingFeatureFailsWhereTheKernelIsRequired() throws {
    let error = try #require(throws: UnmetRequirement.self) {
      try mayRun(Self.absent, missing: missing, requiresKernel: true, skips: .success(.init()))
    }
    #expect(error.description.contains("quantum: entangling: EOPNOTSUPP"))
  }

  @Test func listedCauseSkips() throws {
    let skips = try AllowedSkips(parsing: "# known\nquantum EOPNOTSUPP # not built\n")
    #expect(try !mayRun(Self.absent, missing: missing, requiresKernel: true, skips: .success(skips)))
  }

  @Test func anotherCauseThanTheListedOneFails() throws {
    let skips = try AllowedSkips(parsing: "quantum EPERM")
    #expect(throws: UnmetRequirement.self) {
      try mayRun(Self.absent, missing: missing, requiresKernel: true, skips: .success(skips))
    }
  }

  @Test(arguments: [("quantum", 1), ("\nquantum EPERM extra", 2), ("bpf EPERM", 1)])
  func badListNamesItsLine(text: String, line: Int) throws {
    let error = try #require(throws: AllowedSkips.SyntaxError.self) { try AllowedSkips(parsing: text) }
    #expect(error.line == line)
  }

  @Test func errorNumbersReadAsNames() {
    #expect(Requirement.Missing(errno: -1, attempt: "loading").description == "loading: EPERM")
  }

  @Test(.requiresBPF) func bpfIsHereWhereItIsRequired() {
    #expect(Requirement.bpf.missing == nil)
  }
}
