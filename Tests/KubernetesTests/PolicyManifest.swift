import MartletKubernetes
import MartletModel
import MartletNetworking

/// What manifests with policies say: for tests that write one object and look at what becomes of it.
struct PolicyManifest {
  let contents: ManifestContents

  /// An object of this kind called `p`, in namespace `x`, with a spec given as YAML.
  init(_ apiVersion: String, _ kind: String, name: String = "p", metadata: String = "", spec: String) throws {
    contents = try contentsOf(Self.text(apiVersion, kind, name: name, metadata: metadata, spec: spec))
  }

  static func text(
    _ apiVersion: String, _ kind: String, name: String = "p", metadata: String = "", spec: String
  ) -> String {
    let indented = spec.split(separator: "\n", omittingEmptySubsequences: false).map { "  \($0)\n" }.joined()
    return """
      apiVersion: \(apiVersion)
      kind: \(kind)
      metadata: {name: \(name), namespace: x\(metadata.isEmpty ? "" : ", ")\(metadata)}
      spec:
      \(indented)
      """
  }

  /// The one policy.
  var policy: Policy? { contents.state.policies.values.first }

  /// What is wrong, without file and document, which are always the same.
  var complaints: [String] {
    contents.complaints.map { $0.replacing("policy.yaml: document 1, ", with: "", maxReplacements: 1) }
  }
}

private func contentsOf(_ text: String) throws -> ManifestContents {
  try contents(["policy.yaml": text])
}

/// The selector written as `text`, which has to be one.
///
/// `pcns.` and `pcsa.` stand for what precedes the keys of namespaces' and service accounts' labels, which cannot be
/// written.
func selector(_ text: String) throws -> Selector {
  try Selector(parsing: text).renamingKeys { key in
    for (written, meant) in [
      (PolicyLabel.namespacePrefix, PolicyLabel.ownNamespacePrefix),
      (PolicyLabel.serviceAccountPrefix, PolicyLabel.ownServiceAccountPrefix),
    ] where key.hasPrefix(written) {
      return meant + key.dropFirst(written.count)
    }
    return key
  }
}

/// The ranges written as `texts`.
func prefixes(_ texts: String...) -> [IPPrefix] { texts.compactMap { IPPrefix($0) } }

extension EntityMatch.PortMatch {
  static func port(_ number: UInt16) -> Self { .range(PortRange(number)) }
  static func ports(_ range: ClosedRange<UInt16>) -> Self { .range(PortRange(range)) }
}
