/// Text that is no selector.
public struct SelectorSyntaxError: Error, Hashable, Sendable {
  /// Where in the text, in characters counted from 1. One past the last character if more was expected there.
  public var column: Int
  /// What is wrong there and what would be right.
  public var message: String
}

extension SelectorSyntaxError: CustomStringConvertible {
  /// The place and the message in one line.
  public var description: String { "column \(column): \(message)" }
}
