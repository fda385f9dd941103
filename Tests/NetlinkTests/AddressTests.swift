import BPFTesting
import MartletNetworking
import Netlink
import Testing

@Suite(.requires(.networkNamespaces)) struct AddressTests {
  private func scopeName(_ scope: InterfaceAddress.Scope) -> String? {
    [InterfaceAddress.Scope.universe: "global", .link: "link", .host: "host", .site: "site"][scope]
  }

  @Test func listingAgreesWithIP() throws {
    let network = try Network()
    try network.namespace.ip(
      "addr add 192.0.2.1/24 dev near", "addr add 192.0.2.2/24 dev near", "addr add 10.0.0.1 peer 10.0.0.9/30 dev near",
      "addr add 169.254.1.1/16 scope link dev far", "addr add 2001:db8::1/64 dev near nodad",
      "addr add 2001:db8::77/128 dev far")
    let expected = try network.tool("addr show", as: [ToolAddresses].self)
    for link in expected {
      let addresses = try network.netlink.addresses(of: InterfaceIndex(link.ifindex))
      // Others may have changed meanwhile: duplicate address detection is under way.
      #expect(Set(addresses.map(\.description)) == Set(link.addr_info.map { "\($0.local)/\($0.prefixlen)" }))
      for tool in link.addr_info {
        let address = try #require(addresses.first { "\($0)" == "\(tool.local)/\(tool.prefixlen)" })
        #expect(address.interface.rawValue == link.ifindex)
        #expect(scopeName(address.scope) == tool.scope)
        #expect(address.peer?.description == tool.address)
        #expect(address.flags.contains(.noDAD) == (tool.nodad ?? false))
      }
    }
    let all = try network.netlink.addresses()
    #expect(all.count == expected.map(\.addr_info.count).reduce(0, +))
    for family in AddressFamily.allCases {
      #expect(
        try network.netlink.addresses(family: family).map(\.address)
          == all.map(\.address).filter { $0.family == family })
    }
  }

  @Test(arguments: Plan.both)
  func addressIsAddedAndDeleted(_ plan: Plan) throws {
    let network = try Network()
    let address = InterfaceAddress(
      plan.host, prefixLength: plan.subnetLength, interface: network.near, flags: [.noDAD, .noPrefixRoute])
    try network.netlink.addAddress(address)
    let tool = try network.tool("addr show dev near", as: [ToolAddresses].self)[0].addr_info
    #expect(tool.contains { $0.local == "\(plan.host)" && $0.prefixlen == plan.subnetLength && $0.scope == "global" })
    let listed = try #require(try network.netlink.addresses(of: network.near).first { $0.address == plan.host })
    #expect(listed.flags.contains(.noPrefixRoute))
    #expect(listed.network == IPPrefix(plan.host, length: plan.subnetLength))

    let again = try #require(throws: NetlinkError.self) { try network.netlink.addAddress(address) }
    #expect(again.kind == .exists)
    try network.netlink.replaceAddress(address)

    try network.netlink.deleteAddress(address)
    #expect(try !network.netlink.addresses().contains { $0.address == plan.host })
    let gone = try #require(throws: NetlinkError.self) { try network.netlink.deleteAddress(address) }
    #expect(gone.kind == .notFound)
    #expect(gone.object.contains("\(plan.host)/\(plan.subnetLength)"))
  }

  @Test func addressesOfAnAbsentLinkAreAnError() throws {
    let network = try Network()
    let error = try #require(throws: NetlinkError.self) { try network.netlink.addresses(of: InterfaceIndex(4711)) }
    #expect(error.kind == .notFound)
    #expect(error.object == "addresses of link 4711")
  }

  @Test(arguments: Plan.both)
  func impossibleLengthIsRefused(_ plan: Plan) throws {
    let network = try Network()
    for length in [-1, plan.family.bitWidth + 1] {
      let error = try #require(throws: NetlinkError.self) {
        try network.netlink.addAddress(
          InterfaceAddress(plan.host, prefixLength: length, interface: network.near))
      }
      #expect(error.kind == .invalid)
      #expect(error.errno == 0)
    }
  }
}
