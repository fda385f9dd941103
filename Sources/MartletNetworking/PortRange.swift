/// An inclusive range of ports.
public struct PortRange: Hashable, Sendable {
  /// The lowest port.
  public let first: UInt16
  /// The highest port, not below ``first``.
  public let last: UInt16

  /// One port.
  public init(_ port: UInt16) {
    first = port
    last = port
  }

  /// All ports of `range`.
  public init(_ range: ClosedRange<UInt16>) {
    first = range.lowerBound
    last = range.upperBound
  }

  /// Every port.
  public static let all = PortRange(0...UInt16.max)

  /// Ports in the range: 1 to 65536.
  public var count: Int { Int(last) - Int(first) + 1 }

  /// Whether `port` is in the range.
  public func contains(_ port: UInt16) -> Bool { first <= port && port <= last }

  /// Whether some port is in both ranges.
  public func overlaps(_ other: PortRange) -> Bool { first <= other.last && other.first <= last }
}

extension PortRange: Comparable {
  /// By first port, then by last.
  public static func < (left: PortRange, right: PortRange) -> Bool {
    (left.first, left.last) < (right.first, right.last)
  }
}

extension PortRange: LosslessStringConvertible {
  /// The range written as `PORT` or `FIRST-LAST`, decimal without leading zeros, or `nil`.
  public init?(_ text: String) {
    func port(_ part: Substring) -> UInt16? {
      guard let port = UInt16(part), String(port) == part else { return nil }
      return port
    }
    let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard let low = ends.first.flatMap(port), let high = ends.last.flatMap(port), low <= high else { return nil }
    self.init(low...high)
  }

  /// `PORT`, or `FIRST-LAST`.
  public var description: String { first == last ? "\(first)" : "\(first)-\(last)" }
}
