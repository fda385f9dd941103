import MartletModel
import MartletNetworking
import Netlink
import Testing

@testable import MartletDataPlane

/// Which host endpoint protects which interface, and what is said of those that protect none.
struct HostEndpointPlacementTests {
  private static let interfaces = [
    HostInterface(index: InterfaceIndex(UInt32(2)), name: "eth0", addresses: [IPAddress(192, 0, 2, 1)])
  ]

  private func place(_ endpoints: HostEndpoint...) -> HostEndpointPlacement {
    HostEndpointPlacement(endpoints, automatic: [], at: Self.interfaces)
  }

  @Test func oneThatIsNowhereSaysSo() {
    for (endpoint, reason) in [
      (HostEndpoint(name: "a", node: "n1", interface: "eth9"), "there is no interface eth9"),
      (
        HostEndpoint(name: "a", node: "n1", expectedAddresses: [IPAddress(192, 0, 2, 9)]),
        "no interface has any of the addresses 192.0.2.9"
      ),
    ] {
      let placement = place(endpoint)
      #expect(placement.problems.map(\.subject) == ["host endpoint a"])
      #expect(placement.problems.allSatisfy { $0.message.hasPrefix(reason) }, "\(placement.problems)")
    }
  }

  @Test func onesThatAreSomewhereSayNothing() {
    let placement = place(
      HostEndpoint(name: "a", node: "n1", interface: "eth0"),
      HostEndpoint(name: "b", node: "n1", interface: HostEndpoint.everyInterface))
    #expect(placement.problems == [])
    #expect(placement.names == [InterfaceIndex(UInt32(2)): "a", HostEndpointPlacement.everyInterface: "b"])
  }

  @Test func theFirstOfTwoForOneInterfaceCounts() {
    let placement = place(
      HostEndpoint(name: "b", node: "n1", interface: "eth0"),
      HostEndpoint(name: "a", node: "n1", expectedAddresses: [IPAddress(192, 0, 2, 1)]))
    #expect(placement.names.values.sorted() == ["a"])
    #expect(placement.problems.map(\.subject) == ["host endpoint b"])
  }
}
