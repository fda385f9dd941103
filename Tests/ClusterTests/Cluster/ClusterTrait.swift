import BPFTesting
import MartletDataPlane
import Testing

/// Builds a ``Cluster`` for a suite, which finds it in ``Cluster/current`` and is serialized for it.
struct ClusterTrait: SuiteTrait, TestScoping {
  let options: @Sendable (inout BPFDataPlane.Options) -> Void

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    try await ClusterPermits.shared.withPermit {
      let cluster = try Cluster(options: options)
      try await Cluster.$shared.withValue(cluster) { try await function() }
    }
  }
}

extension Trait where Self == ClusterTrait {
  /// A cluster of this suite's own.
  static var cluster: Self { ClusterTrait { _ in } }

  /// Likewise, with data planes set up differently.
  static func cluster(_ options: @escaping @Sendable (inout BPFDataPlane.Options) -> Void) -> Self {
    ClusterTrait(options: options)
  }
}

extension Cluster {
  @TaskLocal fileprivate static var shared: Cluster?

  /// The cluster of the suite that the calling test belongs to.
  static var current: Cluster {
    get throws { try #require(shared, "the suite lacks the trait .cluster") }
  }
}
