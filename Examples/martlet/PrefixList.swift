import ArgumentParser
import MartletNetworking

/// `A,B` on the command line.
struct PrefixList {
  let prefixes: [IPPrefix]

  init(parsing text: String) throws {
    prefixes = try text.split(separator: ",", omittingEmptySubsequences: false).map(Self.prefix)
  }

  private static func prefix(_ text: Substring) throws -> IPPrefix {
    if let prefix = IPPrefix(text) { return prefix }
    if let prefix = IPPrefix(text, hostBits: .cleared) {
      throw ValidationError("\"\(text)\" has bits beyond its length: write \(prefix)")
    }
    throw ValidationError("\"\(text)\" is not a prefix such as 10.0.0.0/8, 10.0.0.1 or fd00::/8")
  }
}
