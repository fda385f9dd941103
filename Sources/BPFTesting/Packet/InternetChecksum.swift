import MartletNetworking

/// The checksum of IP, TCP, UDP and ICMP (RFC 1071): the complement of the sum, in ones' complement, of 16-bit words.
///
/// Written to be evidently right rather than fast: it is the oracle for the data plane's incremental updates.
public enum InternetChecksum {
  /// The checksum of `bytes`, in host order; an odd last byte is padded with zero.
  ///
  /// Of bytes that include their own checksum it is 0.
  public static func of(_ bytes: some Sequence<UInt8>) -> UInt16 {
    var sum: UInt64 = 0
    var isHigh = true
    for byte in bytes {
      sum += isHigh ? UInt64(byte) << 8 : UInt64(byte)
      isHigh.toggle()
    }
    while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
    return ~UInt16(sum)
  }

  /// The checksum of an upper-layer packet together with the pseudo-header of RFC 793 or RFC 8200, 8.1.
  public static func of(
    _ packet: some Collection<UInt8>, from source: IPAddress, to destination: IPAddress, protocol number: UInt8
  ) -> UInt16 {
    var pseudoHeader = source.bytes + destination.bytes
    if source.isIPv4 {
      pseudoHeader += [0, number] + UInt16(packet.count).bigEndianBytes
    } else {
      pseudoHeader += UInt32(packet.count).bigEndianBytes + [0, 0, 0, number]
    }
    return of(pseudoHeader + packet)
  }
}

extension FixedWidthInteger {
  /// The bytes, most significant first.
  var bigEndianBytes: [UInt8] {
    stride(from: Self.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: self >> $0) }
  }
}
