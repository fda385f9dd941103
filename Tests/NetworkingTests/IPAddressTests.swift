import MartletNetworking
import Testing

struct IPAddressTests {
  @Test(arguments: [
    ("10.96.0.10", "10.96.0.10"),
    ("0.0.0.0", "0.0.0.0"),
    ("255.255.255.255", "255.255.255.255"),
    ("::", "::"),
    ("::1", "::1"),
    ("1::", "1::"),
    ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
    ("2001:0db8::0001", "2001:db8::1"),
    ("fe80:0:0:0:1:0:0:1", "fe80::1:0:0:1"),
    ("2001:db8:0:0:1:0:0:0", "2001:db8:0:0:1::"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
    ("::ffff:10.96.0.10", "10.96.0.10"),
    ("::FFFF:a60:a", "10.96.0.10"),
  ])
  func `prints what it parsed in canonical form`(text: String, canonical: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.description == canonical)
    #expect(IPAddress(canonical) == address)
  }

  @Test(arguments: [
    "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "256.1.1.1", "1.2.3.04", "01.2.3.4", "00.0.0.0",
    "1.2.3.4 ", " 1.2.3.4", "1.2.3.4/8", "+1.2.3.4", "1.2.3.-4", "0x1.2.3.4", "1.2.3.1000", "a.b.c.d", "১.2.3.4",
    ":", ":::", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8:", "1::2::3", "1:::2", "12345::",
    "g::", "::1%eth0", "[::1]", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7::8:9", "1:2:3:4::5:6:7:8:9", "::1.2.3",
    "::1.2.3.4:5", "::1.2.3.04", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "10.0.0.1:80", "fe80::1\n",
  ])
  func `refuses what is not exactly an address`(text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test func `random addresses survive printing and parsing`() throws {
    var random = SplitMix(seed: 1)
    for _ in 0..<20_000 {
      // Clear groups at random, so that runs of zeros of all lengths and places occur.
      let keep = UInt8.random(in: .min ... .max, using: &random)
      let bits = (0..<8).reduce(UInt128(0)) { bits, group in
        bits << 16 | (keep >> group & 1 == 0 ? 0 : UInt128(UInt16.random(in: .min ... .max, using: &random)))
      }
      let address = IPAddress(bits: bits)
      #expect(IPAddress(address.description) == address)
      #expect(IPAddress(address.description.uppercased()) == address)
      #expect(IPAddress(bytes: address.mappedBytes) == address)

      let ipv4 = IPAddress(ipv4: UInt32(truncatingIfNeeded: bits))
      #expect(IPAddress(ipv4.description) == ipv4)
      #expect(IPAddress(bytes: ipv4.bytes) == ipv4)
    }
  }

  @Test func `both families are one value with the mapped form for IPv4`() throws {
    let ipv4 = IPAddress(10, 96, 0, 10)
    #expect(ipv4 == IPAddress(ipv4: 0x0a60_000a))
    #expect(ipv4.high == 0)
    #expect(ipv4.low == 0x0000_ffff_0a60_000a)
    #expect(ipv4.bytes == [10, 96, 0, 10])
    #expect(ipv4.mappedBytes == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 96, 0, 10])
    #expect(ipv4.family == .ipv4)
    #expect(ipv4.ipv4 == 0x0a60_000a)

    let ipv6 = try #require(IPAddress("2001:db8::a60:a"))
    #expect(ipv6.high == 0x2001_0db8_0000_0000)
    #expect(ipv6.low == 0x0a60_000a)
    #expect(ipv6.bytes == ipv6.mappedBytes)
    #expect(ipv6.family == .ipv6)
    #expect(ipv6.ipv4 == nil)
    // Compatible, not mapped: an obsolete form that is IPv6.
    #expect(IPAddress("::10.96.0.10")?.family == .ipv6)
    #expect(IPAddress("::10.96.0.10") != ipv4)
  }

  @Test func `sixteen or four bytes are an address and no other count is`() {
    #expect(IPAddress(bytes: [127, 0, 0, 1]) == IPAddress(127, 0, 0, 1))
    for count in 0...20 where count != 4 && count != 16 {
      #expect(IPAddress(bytes: [UInt8](repeating: 1, count: count)) == nil)
    }
  }

  @Test func `order is numeric and keeps IPv4 together`() throws {
    let sorted = ["::", "::1", "0.0.0.0", "9.255.255.255", "10.0.0.0", "255.255.255.255", "::1:0:0:0", "fe80::1"]
    let addresses = try sorted.map { try #require(IPAddress($0)) }
    #expect(addresses.shuffled().sorted() == addresses)
  }

  @Test(arguments: [
    ("127.0.0.1", "loopback"), ("127.255.0.1", "loopback"), ("::1", "loopback"),
    ("0.0.0.0", "unspecified"), ("::", "unspecified"),
    ("224.0.0.1", "multicast"), ("239.255.255.255", "multicast"), ("ff02::1", "multicast"),
    ("169.254.1.1", "link-local"), ("fe80::1", "link-local"), ("febf::1", "link-local"),
    ("10.0.0.1", ""), ("128.0.0.1", ""), ("::2", ""), ("fec0::1", ""), ("fd00::1", ""), ("240.0.0.1", ""),
  ])
  func `tells special addresses`(text: String, kind: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.isLoopback == (kind == "loopback"))
    #expect(address.isUnspecified == (kind == "unspecified"))
    #expect(address.isMulticast == (kind == "multicast"))
    #expect(address.isLinkLocal == (kind == "link-local"))
  }
}
