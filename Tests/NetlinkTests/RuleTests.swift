import BPFTesting
import MartletNetworking
import Netlink
import Testing

@Suite(.requires(.networkNamespaces)) struct RuleTests {
  @Test(arguments: Plan.both)
  func ruleIsAddedListedAndDeleted(_ plan: Plan) throws {
    let network = try Network()
    let before = try network.netlink.rules(family: plan.family)
    #expect(before.map(\.table).contains(.main))
    let rule = RoutingRule(
      plan.family, priority: 100, table: RoutingTable(70000), source: plan.remote, mark: 0x100, markMask: 0xff00,
      inputInterface: "near")
    try network.netlink.addRule(rule)
    #expect(try network.netlink.rules(family: plan.family).contains(rule))
    let tool = try #require(
      try network.tool("\(plan.option) rule show", as: [ToolRule].self).first { $0.priority == 100 })
    #expect(tool.src == "\(plan.remote.address)")
    #expect(tool.srclen == plan.remote.length)
    #expect(tool.table == "70000")
    #expect(tool.fwmark == "0x100")
    #expect(tool.fwmask == "0xff00")
    #expect(tool.iif == "near")

    let again = try #require(throws: NetlinkError.self) { try network.netlink.addRule(rule) }
    #expect(again.kind == .exists)
    try network.netlink.deleteRule(rule)
    #expect(try network.netlink.rules(family: plan.family) == before)
    let gone = try #require(throws: NetlinkError.self) { try network.netlink.deleteRule(rule) }
    #expect(gone.kind == .notFound)
  }

  @Test func prefixOfAnotherFamilyIsRefused() throws {
    let network = try Network()
    let rule = RoutingRule(.ipv6, priority: 100, table: .main, source: Plan.both[0].remote)
    let error = try #require(throws: NetlinkError.self) { try network.netlink.addRule(rule) }
    #expect(error.kind == .invalid)
    #expect(error.hint?.contains("is not IPv6") == true)
  }
}
