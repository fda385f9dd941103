import CBPF

/// A set of bits as map `policy_words` holds it: the summary, then the words that are not zero.
struct BitVector: Hashable {
  static let summaryWords = Int(POLICY_SUMMARY_WORDS)
  /// Bits that a vector can have.
  static let capacity = summaryWords * 64 * 64

  private(set) var content: [UInt64]

  /// The vector of the bits that are set in `words`.
  init(_ words: [UInt64]) {
    content = Array(repeating: 0, count: Self.summaryWords)
    for (index, word) in words.enumerated() where word != 0 {
      content[index / 64] |= 1 << UInt64(index % 64)
      content.append(word)
    }
  }

  /// Whether no bit is set.
  var isEmpty: Bool { content.count == Self.summaryWords }

  subscript(bit: Int) -> Bool {
    get {
      let word = bit / 64
      guard isPresent(word) else { return false }
      return content[position(word)] >> UInt64(bit % 64) & 1 == 1
    }
    set {
      let word = bit / 64
      let position = position(word)
      if !isPresent(word) {
        guard newValue else { return }
        content[word / 64] |= 1 << UInt64(word % 64)
        content.insert(0, at: position)
      }
      let mask = UInt64(1) << UInt64(bit % 64)
      if newValue { content[position] |= mask } else { content[position] &= ~mask }
      if content[position] == 0 {
        content.remove(at: position)
        content[word / 64] &= ~(1 << UInt64(word % 64))
      }
    }
  }

  private func isPresent(_ word: Int) -> Bool { content[word / 64] >> UInt64(word % 64) & 1 == 1 }

  /// Where a word is, or would be.
  private func position(_ word: Int) -> Int {
    var position = Self.summaryWords
    for index in 0..<(word / 64) { position += content[index].nonzeroBitCount }
    return position + (content[word / 64] & ((1 << UInt64(word % 64)) - 1)).nonzeroBitCount
  }
}
