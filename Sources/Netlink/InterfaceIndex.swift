/// The number by which the kernel knows a network interface within its network namespace.
///
/// 1 is the loopback interface. A number is not used again until the counter wraps, but an interface that moves to
/// another namespace may be given another one there.
public struct InterfaceIndex: RawRepresentable, Hashable, Sendable {
  /// The number, as in `ifi_index` and in BPF's `ifindex`. 0 is no interface.
  public let rawValue: UInt32

  /// The given number.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The interface with the given number.
  public init(_ rawValue: UInt32) { self.init(rawValue: rawValue) }

  /// `lo`, which is the first interface of every network namespace.
  public static let loopback = InterfaceIndex(1)
}

extension InterfaceIndex: Comparable {
  /// By number, which is the order of creation.
  public static func < (left: InterfaceIndex, right: InterfaceIndex) -> Bool { left.rawValue < right.rawValue }
}

extension InterfaceIndex: CustomStringConvertible {
  /// The number.
  public var description: String { "\(rawValue)" }
}

extension InterfaceIndex {
  /// The interface of a wire field in which 0 means none.
  init?(wire number: UInt32?) {
    guard let number, number != 0 else { return nil }
    self.init(number)
  }
}
