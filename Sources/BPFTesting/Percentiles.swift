/// Samples of a benchmark, sorted, to be told by percentiles rather than by a mean that one outlier spoils.
///
/// ```swift
/// let (ours, theirs) = (Percentiles(ourTimes), Percentiles(theirTimes))
/// print("p50 \(ours.p50) ns, p99 \(ours.p99) ns, \(ours.ratioOfMedians(to: theirs))× theirs")
/// ```
///
/// Compare only what was measured in turns in one run: machines change between runs.
public struct Percentiles: Sendable, Equatable {
  /// The samples in ascending order.
  public let sorted: [Double]

  /// Sorts `samples`.
  ///
  /// - Precondition: there is at least one, and none is not a number.
  public init(_ samples: some Sequence<Double>) {
    let samples = Array(samples)
    precondition(!samples.isEmpty, "no samples, no percentiles")
    precondition(!samples.contains(where: \.isNaN), "a sample is not a number")
    sorted = samples.sorted()
  }

  /// The value that `percent` of the samples do not exceed, by linear interpolation between the two nearest.
  ///
  /// - Precondition: `percent` is between 0 and 100.
  public func callAsFunction(_ percent: Double) -> Double {
    precondition((0...100).contains(percent), "\(percent) percent")
    let place = percent / 100 * Double(sorted.count - 1)
    let below = Int(place)
    let above = min(below + 1, sorted.count - 1)
    return sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below))
  }

  /// The median.
  public var p50: Double { self(50) }
  /// What nine of ten do not exceed.
  public var p90: Double { self(90) }
  /// What 99 of 100 do not exceed.
  public var p99: Double { self(99) }

  /// This median divided by that of `other`.
  public func ratioOfMedians(to other: Percentiles) -> Double { p50 / other.p50 }

  /// The median of the ratios of pairs that were measured right after each other, so that what slows both down cancels
  /// out.
  ///
  /// - Precondition: there is at least one pair, and no second measurement is 0.
  public static func medianRatio(_ pairs: some Sequence<(Double, Double)>) -> Double {
    Percentiles(pairs.map { $0.0 / $0.1 }).p50
  }
}
