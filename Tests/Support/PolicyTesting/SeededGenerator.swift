/// SplitMix64: the same numbers for the same seed on every machine, so that a failure can be run again.
public struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  /// A generator that repeats the sequence of `seed`.
  public init(seed: Int) { state = UInt64(seed) &* 0xd134_2543_de82_ef95 }

  /// The next number.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// A number from 0 up to, but not including, `bound`.
  public mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() >> 33) % bound }

  /// True once in `denominator` times.
  public mutating func oneIn(_ denominator: Int) -> Bool { below(denominator) == 0 }

  /// One of `elements`, which are not none.
  public mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  /// About half of `elements`.
  public mutating func some<Element>(_ elements: [Element]) -> [Element] { elements.filter { _ in oneIn(2) } }

  /// Up to `count` of `elements`, but at least one.
  public mutating func few<Element>(_ elements: [Element], upTo count: Int) -> [Element] {
    (0...below(count)).map { _ in pick(elements) }
  }
}
