/// SplitMix64: the same numbers for the same seed on every machine, so that a failure can be run again.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: Int) { state = UInt64(seed) }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// True once in `denominator` times.
  mutating func oneIn(_ denominator: Int) -> Bool { Int.random(in: 0..<denominator, using: &self) == 0 }

  mutating func pick<Element>(_ elements: [Element]) -> Element {
    elements[Int.random(in: elements.indices, using: &self)]
  }

  /// Three of four.
  mutating func most<Element>(_ elements: [Element]) -> [Element] {
    elements.filter { _ in !oneIn(4) }
  }

  mutating func some<Element>(_ elements: [Element]) -> [Element] {
    elements.filter { _ in oneIn(2) }
  }
}
