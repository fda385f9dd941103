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
    ("projectcalico.org/v3", "GlobalNetworkPolcy"), ("crd.projectcalico.org/v1", "SomethingNew"),
    ("networking.k8s.io/v1", "NetworkPolcy"), ("extensions/v1beta1", "NetworkPolicy"),
    ("policy.networking.k8s.io/v1", "SomethingNew"),
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

  private static let versions: [(version: String, kind: String, known: String)] = [
    ("projectcalico.org/v2", "GlobalNetworkPolicy", "projectcalico.org/v3 or crd.projectcalico.org/v1"),
    ("networking.k8s.io/v1beta1", "NetworkPolicy", "networking.k8s.io/v1"),
    ("policy.networking.k8s.io/v2", "AdminNetworkPolicy", "policy.networking.k8s.io/v1alpha1"),
  ]

  @Test(arguments: versions)
  func `a policy of a version that is not known lets nothing through`(
    version: String, kind: String, known: String
  ) throws {
    let spec =
      kind == "NetworkPolicy"
      ? "podSelector: {}\ningress: [{}]" : "selector: all()\nsubject: {namespaces: {}}\ningress: [{action: Allow}]"
    let found = try PolicyManifest(version, kind, spec: spec)
    let name = kind == "NetworkPolicy" ? "x/p" : "p"
    #expect(found.complaints == ["line 1: \(kind) \(name): apiVersion: \"\(version)\" is not \(known)"])
    let policy = try #require(found.contents.state.policies.values.first)
    #expect(policy.ingress.filter { $0.action != .deny && !$0.matchesNothing } == [])
  }

  @Test(arguments: ["labels: {version: 1}", "labels: [a]", "uid: 5"])
  func `a policy whose metadata is not understood lets nothing through, and costs others nothing`(
    field: String
  ) async throws {
    func text(_ name: String, _ field: String) -> String {
      """
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: \(name), namespace: x, \(field)}
      spec: {podSelector: {}, ingress: [{}]}
      ---

      """
    }
    let update = try #require(try await update([text("gone", "labels: {}"), text("p", field)]))
    #expect(update.problems.count == 1)
    let problem = try #require(update.problems.first)
    #expect("\(problem)".contains("NetworkPolicy x/p: metadata."), "\(problem)")
    #expect(update.state.policies.keys.map(\.name.name) == ["p"])
    #expect(update.state.policies.values.first?.ingress == [PolicyRule(.allow, matchesNothing: true)])
  }

  @Test(
    arguments: [("networking.k8s.io/v1", "NetworkPolicy"), ("projectcalico.org/v3", "NetworkPolicy")], ["[1]", "all"])
  func `a policy whose spec is no object closes its namespace`(kind: (String, String), spec: String) throws {
    let folder = try TemporaryFolder([
      "a.yaml": "apiVersion: \(kind.0)\nkind: \(kind.1)\nmetadata: {name: p, namespace: x}\nspec: \(spec)\n"
    ])
    let contents = ManifestFolder(path: folder.path).load()
    #expect(contents.problems.contains { "\($0)".contains("x/p: spec: expected an object") }, "\(contents.problems)")
    let policy = try #require(contents.state.policies.values.first)
    #expect("\(policy.subject)".contains("projectcalico.org/namespace"), "\(policy.subject)")
    #expect(policy.ingress.allSatisfy { $0.action == .deny || $0.matchesNothing })
    #expect(policy.directions.contains(.ingress))
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
