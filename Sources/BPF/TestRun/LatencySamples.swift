/// How long runs took, in nanoseconds, in ascending order.
public struct LatencySamples: Sendable, Equatable {
  /// The samples, sorted; at least one.
  public let nanoseconds: [UInt32]

  /// Sorts `samples`. Precondition: there is one at least.
  public init(_ samples: [UInt32]) {
    precondition(!samples.isEmpty, "no samples")
    nanoseconds = samples.sorted()
  }

  /// The smallest sample that `percent` of them do not exceed. Precondition: `percent` is within `0...100`.
  public func percentile(_ percent: Double) -> UInt32 {
    precondition((0...100).contains(percent), "no such percentile: \(percent)")
    let rank = (percent / 100 * Double(nanoseconds.count)).rounded(.up)
    return nanoseconds[max(Int(rank) - 1, 0)]
  }

  /// The smallest sample: the run that nothing disturbed.
  public var minimum: UInt32 { nanoseconds[0] }
  /// The sample in the middle.
  public var median: UInt32 { percentile(50) }
  /// The largest sample.
  public var maximum: UInt32 { nanoseconds[nanoseconds.count - 1] }
}

extension LatencySamples: CustomStringConvertible {
  /// `min 139, p50 155, p90 180, p99 300, max 2004 ns (1000 runs)`.
  public var description: String {
    "min \(minimum), p50 \(median), p90 \(percentile(90)), p99 \(percentile(99)), max \(maximum) ns"
      + " (\(nanoseconds.count) runs)"
  }
}
