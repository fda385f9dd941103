import MartletNetworking
import Testing

struct MACAddressTests {
  @Test func `prints what it parsed`() throws {
    let address = try #require(MACAddress("0A:1b:00:ff:7E:01"))
    #expect(address.description == "0a:1b:00:ff:7e:01")
    #expect(address == MACAddress(0x0a, 0x1b, 0, 0xff, 0x7e, 1))
    #expect(address.bytes == [0x0a, 0x1b, 0, 0xff, 0x7e, 1])
    #expect(MACAddress(bytes: address.bytes) == address)
    #expect(address.isLocallyAdministered && !address.isMulticast)
    #expect(MACAddress.broadcast.isMulticast)
    #expect(MACAddress.broadcast.description == "ff:ff:ff:ff:ff:ff")
  }

  @Test(arguments: [
    "", "0a:1b:00:ff:7e", "0a:1b:00:ff:7e:1", "0a:1b:00:ff:7e:01:02", "0a-1b-00-ff-7e-01", "0g:1b:00:ff:7e:01",
  ])
  func `refuses what is not exactly an address`(text: String) {
    #expect(MACAddress(text) == nil)
  }
}

struct L4ProtocolTests {
  @Test(arguments: [("TCP", 6), ("UDP", 17), ("SCTP", 132), ("ICMP", 1), ("ICMPv6", 58), ("47", 47)])
  func `has the registry's number and a name`(name: String, number: UInt8) {
    #expect(L4Protocol(name) == L4Protocol(rawValue: number))
    #expect(L4Protocol(rawValue: number).description == name)
  }

  @Test(arguments: ["", "tcp", "256", "-1", "06", "TCP "])
  func `refuses other spellings`(name: String) {
    #expect(L4Protocol(name) == nil)
  }
}

struct PortRangeTests {
  @Test(arguments: [("80", 80, 80), ("0", 0, 0), ("30000-32767", 30000, 32767), ("0-65535", 0, 65535)])
  func `parses a port or a range`(text: String, first: UInt16, last: UInt16) throws {
    let range = try #require(PortRange(text))
    #expect(range == PortRange(first...last))
    #expect(range.description == text)
    #expect(range.count == Int(last) - Int(first) + 1)
    #expect(range.contains(first) && range.contains(last))
    #expect(first == 0 || !range.contains(first - 1))
    #expect(last == 65535 || !range.contains(last + 1))
  }

  @Test(arguments: ["", "-", "80-", "-80", "90-80", "65536", "080", "80-90-100", "80 - 90", "http"])
  func `refuses what is no range`(text: String) {
    #expect(PortRange(text) == nil)
  }
}
