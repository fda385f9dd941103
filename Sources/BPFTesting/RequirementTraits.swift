import Testing

/// A feature is missing where none may be.
public struct UnmetRequirement: Error, CustomStringConvertible {
  /// The feature's name.
  public let feature: String
  /// Why it is missing.
  public let missing: Requirement.Missing

  /// The feature, why it is missing, and why that is a failure.
  public var description: String {
    "needs \(feature): \(missing); MARTLET_REQUIRE_KERNEL is set and the allowed skips do not list this cause"
  }
}

extension Trait where Self == ConditionTrait {
  /// Runs the test or suite only where BPF works: see ``Requirement/bpf``.
  ///
  /// With `MARTLET_REQUIRE_KERNEL=1` a kernel without it fails the test instead of skipping it.
  public static var requiresBPF: Self { .requires(.bpf) }

  /// Runs the test or suite only where `feature` is here.
  ///
  /// With `MARTLET_REQUIRE_KERNEL=1` a missing feature fails the test unless ``AllowedSkips`` list its cause.
  public static func requires(_ feature: Requirement, sourceLocation: SourceLocation = #_sourceLocation) -> Self {
    let missing = feature.missing
    let comment = Comment(rawValue: missing.map { "needs \(feature.name): \($0)" } ?? "needs \(feature.name)")
    return .enabled(comment, sourceLocation: sourceLocation) {
      try mayRun(
        feature, missing: missing, requiresKernel: Environment.requiresKernel, skips: AllowedSkips.ofEnvironment)
    }
  }
}

/// `true` to run, `false` to skip; throws where skipping is not permitted.
func mayRun(
  _ feature: Requirement, missing: Requirement.Missing?, requiresKernel: Bool,
  skips: Result<AllowedSkips, any Error>
) throws -> Bool {
  guard let missing else { return true }
  guard requiresKernel else { return false }
  if try skips.get().excuse(feature, missing: missing) { return false }
  throw UnmetRequirement(feature: feature.name, missing: missing)
}
