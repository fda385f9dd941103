import Glibc

/// The version of a Linux kernel, for messages and for tables of what came when.
///
/// A distribution's kernel can have features of later versions, so decide by ``Probe``, not by comparing versions.
public struct KernelVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The first number: 6 of 6.18.44.
  public var major: Int
  /// The second number: 18 of 6.18.44.
  public var minor: Int
  /// The third number: 44 of 6.18.44.
  public var patch: Int

  /// The version `major.minor.patch`.
  public init(_ major: Int, _ minor: Int, _ patch: Int = 0) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// Parses the start of a release string such as `6.18.44-generic`; `nil` if it does not begin with two numbers.
  public init?(release: some StringProtocol) {
    let numbers = release.prefix { $0.isNumber || $0 == "." }.split(separator: ".").compactMap { Int($0) }
    guard numbers.count >= 2 else { return nil }
    self.init(numbers[0], numbers[1], numbers.count > 2 ? numbers[2] : 0)
  }

  /// The version of the kernel that runs, from `uname`; `nil` if it cannot be read.
  public static let running: KernelVersion? = {
    var names = utsname()
    guard uname(&names) == 0 else { return nil }
    let release = withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return KernelVersion(release: release)
  }()

  /// `6.18`, with the third number only where it is not zero.
  public var description: String { patch == 0 ? "\(major).\(minor)" : "\(major).\(minor).\(patch)" }

  /// Orders by major, then minor, then patch number.
  public static func < (left: KernelVersion, right: KernelVersion) -> Bool {
    (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
  }
}
