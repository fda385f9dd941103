/// Which part of a datagram a packet carries.
public struct IPFragment: Hashable, Sendable {
  /// Where the part begins in the datagram's payload, in bytes; a multiple of 8.
  public var offset: Int
  /// Whether other parts follow.
  public var moreFollow: Bool
  /// What the parts of one datagram have in common; IPv4 has room for 16 bits.
  public var identification: UInt32

  /// The part at `offset`, in bytes.
  ///
  /// - Precondition: `offset` is a multiple of 8 below 65536.
  public init(offset: Int, moreFollow: Bool, identification: UInt32) {
    precondition(offset % 8 == 0 && (0..<65536).contains(offset), "fragments begin at multiples of 8")
    self.offset = offset
    self.moreFollow = moreFollow
    self.identification = identification
  }
}
