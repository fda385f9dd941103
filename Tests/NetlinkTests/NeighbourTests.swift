import BPFTesting
import MartletNetworking
import Netlink
import Testing

@Suite(.requires(.networkNamespaces)) struct NeighbourTests {
  private let mac = MACAddress(2, 0, 0, 0, 0, 9)

  @Test(arguments: Plan.both)
  func listingAgreesWithIP(_ plan: Plan) throws {
    let network = try Network(plan)
    try network.namespace.ip(
      "neigh add \(plan.neighbour) lladdr \(mac) dev near nud permanent",
      "neigh add \(plan.elsewhere) lladdr 02:00:00:00:00:0a dev near nud stale")
    // ip(8) does not show the fixed entries for multicast.
    let near = try network.netlink.neighbours(on: network.near, family: plan.family).filter { $0.state != .noARP }
    let expected = try network.tool("\(plan.option) neigh show dev near", as: [ToolNeighbour].self)
    #expect(Set(near.map(\.address.description)) == Set(expected.map(\.dst)))
    for tool in expected {
      let neighbour = try #require(near.first { "\($0.address)" == tool.dst })
      #expect(neighbour.macAddress?.description == tool.lladdr)
      #expect(neighbour.state == (tool.state == ["PERMANENT"] ? .permanent : .stale))
      #expect(neighbour.isUsable)
    }
    #expect(
      try network.netlink.neighbours(on: network.far, family: plan.family).allSatisfy { $0.interface == network.far })
    #expect(Set(try network.netlink.neighbours()).isSuperset(of: near))
  }

  @Test(arguments: Plan.both)
  func entryIsReplacedFoundAndDeleted(_ plan: Plan) throws {
    let network = try Network(plan)
    #expect(try network.netlink.neighbour(plan.neighbour, on: network.near) == nil)
    let entry = Neighbour(plan.neighbour, interface: network.near, macAddress: mac)
    try network.netlink.replaceNeighbour(entry)
    #expect(try network.netlink.neighbour(plan.neighbour, on: network.near) == entry)
    #expect(try network.netlink.neighbour(plan.neighbour, on: network.far) == nil)
    try network.netlink.deleteNeighbour(plan.neighbour, on: network.near)
    #expect(try network.netlink.neighbour(plan.neighbour, on: network.near)?.isUsable != true)
  }
}
