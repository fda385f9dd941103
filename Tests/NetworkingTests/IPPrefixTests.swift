import MartletNetworking
import Testing

struct IPPrefixTests {
  @Test(arguments: [
    ("10.96.0.0/12", "10.96.0.0/12"), ("0.0.0.0/0", "0.0.0.0/0"), ("::/0", "::/0"), ("10.0.0.1", "10.0.0.1/32"),
    ("10.0.0.1/32", "10.0.0.1/32"), ("2001:db8::/32", "2001:db8::/32"), ("fd00::1", "fd00::1/128"),
    ("::ffff:10.0.0.1", "10.0.0.1/32"),
  ])
  func `parses CIDR and bare addresses`(text: String, canonical: String) throws {
    let prefix = try #require(IPPrefix(text))
    #expect(prefix.description == canonical)
    #expect(IPPrefix(canonical) == prefix)
  }

  @Test(arguments: [
    "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8 ", "::/129",
    "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "::ffff:10.0.0.0/104", "10.0.0.0/8x",
  ])
  func `refuses what is not exactly a prefix`(text: String) {
    #expect(IPPrefix(text) == nil)
    #expect(IPPrefix(text, hostBits: .cleared) == nil)
  }

  @Test func `host bits are refused unless asked to be cleared`() {
    #expect(IPPrefix("10.1.2.3/8") == nil)
    #expect(IPPrefix("10.1.2.3/8", hostBits: .cleared) == IPPrefix("10.0.0.0/8"))
    #expect(IPPrefix("2001:db8::1/32", hostBits: .cleared) == IPPrefix("2001:db8::/32"))
    #expect(IPPrefix("fd00::1/0", hostBits: .cleared) == .all(.ipv6))
    #expect(IPAddress(192, 168, 77, 1).masked(to: 20) == IPAddress(192, 168, 64, 0))
  }

  @Test func `families do not contain each other`() {
    #expect(!IPPrefix.all(.ipv6).contains(IPAddress(10, 0, 0, 1)))
    #expect(!IPPrefix.all(.ipv4).contains(IPAddress(bits: 1)))
    #expect(!IPPrefix.all(.ipv6).contains(.all(.ipv4)))
    #expect(IPPrefix.all(.ipv4).mappedLength == 96)
    #expect(IPPrefix.all(.ipv6).mappedLength == 0)
    #expect(IPPrefix(IPAddress(10, 0, 0, 1)).mappedLength == 128)
  }

  @Test(arguments: AddressFamily.allCases)
  func `contains the addresses between its first and last and no other`(family: AddressFamily) {
    var random = SplitMix(seed: 2)
    for _ in 0..<5_000 {
      let bits = UInt128.random(in: .min ... .max, using: &random)
      let address = family == .ipv4 ? IPAddress(ipv4: UInt32(truncatingIfNeeded: bits)) : IPAddress(bits: bits)
      let prefix = IPPrefix(address, length: Int.random(in: 0...family.bitWidth, using: &random))
      #expect(prefix.contains(address))
      #expect(prefix.contains(prefix.address) && prefix.contains(prefix.lastAddress))
      #expect(prefix.address <= address && address <= prefix.lastAddress)
      #expect(IPPrefix(prefix.description) == prefix)
      if prefix.length > 0 {
        #expect(!prefix.contains(IPAddress(bits: prefix.address.bits &- 1)))
        #expect(!prefix.contains(IPAddress(bits: prefix.lastAddress.bits &+ 1)))
        let parent = IPPrefix(prefix.address, length: prefix.length - 1)
        #expect(parent.contains(prefix) && !prefix.contains(parent))
        #expect(parent.overlaps(prefix) && prefix.overlaps(parent))
      }
    }
  }

  @Test func `sorts a range before those inside it`() throws {
    let sorted = ["10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.1.0/24", "10.1.0.0/16", "11.0.0.0/8"]
    let prefixes = try sorted.map { try #require(IPPrefix($0)) }
    #expect(prefixes.shuffled().sorted() == prefixes)
  }
}
