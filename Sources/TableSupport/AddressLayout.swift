import CBPF
import MartletNetworking

extension ip_address {
  /// The layout's form of `address`: network byte order.
  public init(_ address: IPAddress) {
    self.init(high: address.high.bigEndian, low: address.low.bigEndian)
  }
}

extension IPAddress {
  /// The address that an entry of a map holds.
  public init(_ address: ip_address) {
    self.init(high: UInt64(bigEndian: address.high), low: UInt64(bigEndian: address.low))
  }
}

extension ip_prefix {
  /// The layout's form of `prefix`: an IPv4 length counts the 96 bits before the address.
  public init(_ prefix: IPPrefix) {
    self.init()
    length = UInt32(prefix.mappedLength)
    setBytes(of: prefix.address, in: &address)
  }
}

extension source_range_key {
  /// The key under which `prefix` is admitted to the service with id `service`.
  public init(service: UInt32, prefix: IPPrefix) {
    self.init()
    length = UInt32(32 + prefix.mappedLength)
    self.service = service.bigEndian
    setBytes(of: prefix.address, in: &address)
  }
}

extension IPPrefix {
  /// The prefix that a key stands for; `nil` if no prefix of either family has that length.
  public init?(_ key: ip_prefix) {
    self.init(mappedLength: Int(key.length), bytes: key.address)
  }

  fileprivate init?<Bytes: BitwiseCopyable>(mappedLength: Int, bytes: Bytes) {
    let address = IPAddress(layoutBytes: bytes)
    let length = mappedLength - 128 + address.family.bitWidth
    guard (0...address.family.bitWidth).contains(length) else { return nil }
    self.init(address, length: length)
  }
}

extension source_range_key {
  /// The range of clients; `nil` if no prefix of either family has that length.
  public var prefix: IPPrefix? { IPPrefix(mappedLength: Int(length) - 32, bytes: address) }
}

extension IPAddress {
  fileprivate init<Bytes: BitwiseCopyable>(layoutBytes bytes: Bytes) {
    precondition(MemoryLayout<Bytes>.size == 16)
    // SAFETY: the tuple is sixteen bytes without padding, as ip_address is.
    self.init(withUnsafeBytes(of: bytes) { $0.loadUnaligned(as: ip_address.self) })
  }
}

/// C's `__u8 address[16]` comes to Swift as a tuple.
private func setBytes<Bytes: BitwiseCopyable>(of address: IPAddress, in bytes: inout Bytes) {
  precondition(MemoryLayout<Bytes>.size == 16)
  // SAFETY: the tuple is sixteen bytes without padding, as ip_address is.
  withUnsafeMutableBytes(of: &bytes) { $0.storeBytes(of: ip_address(address), as: ip_address.self) }
}
