/// Text in fixed arrays of characters, padded with zeros. They come to Swift as tuples.
public enum LayoutText {
  /// The text in `bytes`, up to the first zero.
  public static func read<Bytes: BitwiseCopyable>(_ bytes: Bytes) -> String {
    // SAFETY: a tuple of bytes, read within its size.
    withUnsafeBytes(of: bytes) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// Stores `text` at the beginning of `bytes`, which hold zeros. What there is no room for is cut off.
  public static func write<Bytes: BitwiseCopyable>(_ text: String, into bytes: inout Bytes) {
    // SAFETY: a tuple of bytes, and no more than its size is written.
    withUnsafeMutableBytes(of: &bytes) { $0.copyBytes(from: text.utf8.prefix($0.count)) }
  }
}
