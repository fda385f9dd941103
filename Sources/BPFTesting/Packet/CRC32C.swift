/// The checksum of SCTP (RFC 9260, appendix A): CRC-32 with Castagnoli's polynomial.
public enum CRC32C {
  /// The checksum of `bytes`. On the wire its least significant byte comes first.
  public static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
    /// The polynomial 0x1edc6f41 with its bits reversed.
    let polynomial: UInt32 = 0x82f6_3b78
    var remainder = UInt32.max
    for byte in bytes {
      remainder ^= UInt32(byte)
      for _ in 0..<8 {
        remainder = remainder & 1 == 1 ? remainder >> 1 ^ polynomial : remainder >> 1
      }
    }
    return ~remainder
  }
}
