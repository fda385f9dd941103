/// The control bits of a TCP header.
public struct TCPFlags: OptionSet, Hashable, Sendable, CustomStringConvertible {
  /// The bits as in the header's fourteenth byte.
  public let rawValue: UInt8

  /// The flags with these bits.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// No more data from the sender.
  public static let fin = TCPFlags(rawValue: 1)
  /// Synchronize sequence numbers.
  public static let syn = TCPFlags(rawValue: 2)
  /// Reset the connection.
  public static let rst = TCPFlags(rawValue: 4)
  /// Push.
  public static let psh = TCPFlags(rawValue: 8)
  /// The acknowledgement number counts.
  public static let ack = TCPFlags(rawValue: 16)
  /// The urgent pointer counts.
  public static let urg = TCPFlags(rawValue: 32)
  /// Explicit congestion notification's echo.
  public static let ece = TCPFlags(rawValue: 64)
  /// Congestion window reduced.
  public static let cwr = TCPFlags(rawValue: 128)

  /// `SYN|ACK`; `none` if no bit is set.
  public var description: String {
    let names = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"]
    let set = names.enumerated().filter { rawValue & 1 << $0.offset != 0 }.map(\.element)
    return set.isEmpty ? "none" : set.joined(separator: "|")
  }
}
