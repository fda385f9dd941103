import Glibc
import MartletNetworking

extension AddressFamily {
  /// The family's number in message headers, or `nil` for one that this module does not know.
  init?(wire number: UInt8) {
    switch Int32(number) {
    case AF_INET: self = .ipv4
    case AF_INET6: self = .ipv6
    default: return nil
    }
  }

  /// `AF_INET` or `AF_INET6`.
  var wire: UInt8 { UInt8(self == .ipv4 ? AF_INET : AF_INET6) }
}

extension AddressFamily? {
  /// The family's number; `AF_UNSPEC` asks for all.
  var wire: UInt8 { self?.wire ?? UInt8(AF_UNSPEC) }
}

extension IPPrefix {
  /// The prefix of a message of `family`; an absent address means all of the family.
  ///
  /// `nil` for part of `::ffff:0:0/96`: an IPv6 prefix of mapped addresses, which administrators make unreachable, is
  /// not the IPv4 prefix that ``IPPrefix`` would take it for.
  init?(wire bytes: ArraySlice<UInt8>?, length: UInt8, family: AddressFamily) {
    guard Int(length) <= family.bitWidth else { return nil }
    guard let bytes else {
      self.init(.unspecified(family), length: Int(length))
      return
    }
    guard let address = IPAddress(bytes: bytes), address.family == family else { return nil }
    self.init(address, length: Int(length))
  }
}
