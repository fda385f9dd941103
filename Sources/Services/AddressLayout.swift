import CBPF
import Networking

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

/// C's `__u8 address[16]` comes to Swift as a tuple.
private func setBytes<Bytes: BitwiseCopyable>(of address: IPAddress, in bytes: inout Bytes) {
  precondition(MemoryLayout<Bytes>.size == 16)
  // SAFETY: the tuple is sixteen bytes without padding, as ip_address is.
  withUnsafeMutableBytes(of: &bytes) { $0.storeBytes(of: ip_address(address), as: ip_address.self) }
}
