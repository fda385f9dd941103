import BPF
import Glibc

/// The skips that a test environment permits: features that are known to be missing there, and why.
///
/// One line each, the feature's name and the cause that its probe finds; `#` begins a comment:
///
/// ```
/// netkit      EOPNOTSUPP   # not built into the CI kernel
/// fentry      EPERM        # the container lacks CAP_PERFMON
/// ```
///
/// A feature that fails for another cause than the one listed is not excused: the list says what is known, and this is
/// news. ``Requirement/bpf`` itself cannot be excused.
public struct AllowedSkips: Sendable, Equatable {
  /// A line that does not read.
  public struct SyntaxError: Error, Equatable, CustomStringConvertible {
    /// Counted from 1.
    public let line: Int
    /// What is wrong with it.
    public let reason: String

    /// `allowed skips, line 3: …`.
    public var description: String { "allowed skips, line \(line): \(reason)" }
  }

  private var causes: [String: Set<String>] = [:]

  /// Permits nothing.
  public init() {}

  /// Reads a list.
  public init(parsing text: String) throws(SyntaxError) {
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace).map(String.init)
      if words.isEmpty { continue }
      guard words.count == 2 else {
        throw SyntaxError(line: index + 1, reason: "expected a feature and a cause, found “\(line)”")
      }
      guard words[0] != Requirement.bpf.name else {
        throw SyntaxError(line: index + 1, reason: "a kernel without BPF cannot be excused")
      }
      causes[words[0], default: []].insert(words[1])
    }
  }

  /// Whether skipping what needs `feature` is permitted if it is missing for this cause.
  public func excuse(_ feature: Requirement, missing: Requirement.Missing) -> Bool {
    causes[feature.name]?.contains(missing.cause) ?? false
  }

  /// The list that `MARTLET_ALLOWED_SKIPS` names, else `Tests/allowed-skips.txt` below the working directory (which is
  /// the package's folder under `swift test`), else an empty one.
  static let ofEnvironment: Result<AllowedSkips, any Error> = Result {
    let path = Environment.value("MARTLET_ALLOWED_SKIPS")
    guard let text = try readFile(path ?? "Tests/allowed-skips.txt", mayBeAbsent: path == nil) else {
      return AllowedSkips()
    }
    return try AllowedSkips(parsing: text)
  }

  private static func readFile(_ path: String, mayBeAbsent: Bool) throws(BPFError) -> String? {
    do {
      return try TextFile.read(path)
    } catch  where error.errno == ENOENT && mayBeAbsent {
      return nil
    }
  }
}
