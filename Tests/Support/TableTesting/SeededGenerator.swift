import BPFTesting

/// Choices that are the same for the same seed on every machine, so that a failure can be run again.
public struct SeededGenerator: RandomNumberGenerator {
  private var numbers: SplitMix64

  /// A generator that repeats the sequence of `seed`.
  public init(seed: Int) {
    // Neighbouring seeds of SplitMix64 share most of their sequences.
    numbers = SplitMix64(seed: UInt64(seed) &* 0xd134_2543_de82_ef95)
  }

  /// The next number.
  public mutating func next() -> UInt64 { numbers.next() }

  /// A number from 0 up to, but not including, `bound`.
  public mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() >> 33) % bound }

  /// True once in `denominator` times.
  public mutating func oneIn(_ denominator: Int) -> Bool { below(denominator) == 0 }

  /// One of `elements`, which are not none.
  public mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  /// About half of `elements`.
  public mutating func some<Element>(_ elements: [Element]) -> [Element] { elements.filter { _ in oneIn(2) } }

  /// About three of four of `elements`.
  public mutating func most<Element>(_ elements: [Element]) -> [Element] { elements.filter { _ in !oneIn(4) } }

  /// Up to `count` of `elements`, but at least one.
  public mutating func few<Element>(_ elements: [Element], upTo count: Int) -> [Element] {
    (0...below(count)).map { _ in pick(elements) }
  }
}
