import MartletKubernetes
import MartletModel
import Testing

/// What stays in force while a policy is wrong.
struct FailClosedTests {
  private static func text(_ rule: String) -> String {
    PolicyManifest.text("projectcalico.org/v3", "GlobalNetworkPolicy", spec: "ingress: [\(rule)]")
  }

  private let good = text("{action: Allow, protocol: TCP}")
  private let bad = text("{action: Allow, protocol: TPC}")
  private let other = text("{action: Allow, protocol: XYZ}, {action: Deny}")

  private func update(_ texts: [String]) async throws -> ManifestUpdate? {
    let folder = try TemporaryFolder(["policy.yaml": texts[0]])
    var updates = ManifestFolder(path: folder.path).changes.makeAsyncIterator()
    var update = await updates.next()
    for text in texts.dropFirst() {
      try folder.rename(into: "policy.yaml", text)
      update = await updates.next()
    }
    return withExtendedLifetime(folder) { update }
  }

  @Test func `a rule that is not understood lets nothing through from then on`() async throws {
    let update = try await update([good, other])
    #expect(update?.problems.count == 1)
    #expect(
      update?.state.policies.values.first?.ingress == [PolicyRule(.allow, matchesNothing: true), PolicyRule(.deny)])
  }

  @Test(arguments: ["selector: x = y", "order: last", "types: [In]", "whom: all()"])
  func `the last version stays of which all but rules was understood`(field: String) async throws {
    let bad = PolicyManifest.text(
      "projectcalico.org/v3", "GlobalNetworkPolicy", spec: "\(field)\ningress: [{action: Deny}]")
    let update = try await update([good, bad])
    #expect(update?.problems.count == 1)
    #expect(update?.state.policies.values.first?.ingress == [PolicyRule(.allow, protocol: .tcp)])
  }

  @Test func `without one, the latest counts as far as it is understood`() async throws {
    let update = try await update([bad, other])
    #expect(
      update?.state.policies.values.first?.ingress == [PolicyRule(.allow, matchesNothing: true), PolicyRule(.deny)])
  }

  @Test func `a version that is right again counts`() async throws {
    let update = try await update([good, bad, Self.text("{action: Deny}")])
    #expect(update?.problems == [])
    #expect(update?.state.policies.values.first?.ingress == [PolicyRule(.deny)])
  }

  @Test func `a warning keeps nothing from being in force`() async throws {
    let update = try await update([good, Self.text("{action: Allow, http: {methods: [GET]}}")])
    #expect(update?.problems.map(\.severity) == [.warning])
    #expect(update?.state.policies.values.first?.ingress == [PolicyRule(.allow, matchesNothing: true)])
  }

  @Test func `a policy whose kind has become unknown stays`() async throws {
    let update = try await update([good, good.replacing("GlobalNetworkPolicy", with: "GlobalNetworkPolcy")])
    #expect(update?.problems.map(\.severity) == [.error])
    #expect(update?.state.policies.count == 1)
  }

  @Test func `a file that is no YAML any more costs nothing, good or not`() async throws {
    #expect(try await update([good, "{"])?.state.policies.count == 1)
    #expect(try await update([bad, "{"])?.state.policies.count == 1)
  }

  private static let unknown: [(version: String, kind: String)] = [
    ("projectcalico.org/v3", "GlobalNetworkPolcy"), ("projectcalico.org/v2", "GlobalNetworkPolicy"),
    ("crd.projectcalico.org/v1", "SomethingNew"), ("networking.k8s.io/v1", "NetworkPolcy"),
    ("networking.k8s.io/v1beta1", "NetworkPolicy"), ("extensions/v1beta1", "NetworkPolicy"),
    ("policy.networking.k8s.io/v1alpha1", "ClusterNetworkPolicy"),
    ("policy.networking.k8s.io/v2", "AdminNetworkPolicy"),
  ]

  @Test(arguments: unknown)
  func `a kind that is not known in a group of policies is an error`(version: String, kind: String) throws {
    let found = try PolicyManifest(version, kind, spec: "{}")
    #expect(
      found.complaints == [
        "line 1: \(kind) p: there is no kind \(kind) in \(version), as far as known here; it is not in force"
      ])
    #expect(found.contents.problems.map(\.severity) == [.error])
  }

  private static let others: [(version: String, kind: String)] = [
    ("projectcalico.org/v3", "IPPool"), ("crd.projectcalico.org/v1", "FelixConfiguration"),
    ("networking.k8s.io/v1", "Ingress"), ("policy/v1", "PodDisruptionBudget"),
  ]

  @Test(arguments: others)
  func `other kinds of these groups have no effect`(version: String, kind: String) throws {
    let found = try PolicyManifest(version, kind, spec: "{}")
    #expect(found.contents.problems.map(\.severity) == [.warning])
  }

  @Test func `every mistake of a policy is named`() throws {
    let found = try PolicyManifest(
      "projectcalico.org/v3", "GlobalNetworkPolicy",
      spec: "order: x\ningress: [{action: Alow}, {action: Deny, protocol: TPC}]\nfoo: 1")
    #expect(found.complaints.count == 4)
    #expect(found.complaints.map { $0.prefix(6) } == ["line 5", "line 6", "line 6", "line 7"])
  }
}
