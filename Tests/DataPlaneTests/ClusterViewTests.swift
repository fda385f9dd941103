import MartletModel
import MartletNetworking
import MartletServices
import Testing

@testable import MartletDataPlane

@Suite struct ClusterViewTests {
  private func pod(_ name: String, _ addresses: String...) -> Resource {
    .workload(
      Workload(
        name: NamespacedName(namespace: "default", name: name), node: "n1",
        addresses: addresses.compactMap { IPAddress($0) }))
  }

  private func view(_ resources: [Resource]) -> ClusterView {
    ClusterView(state: ClusterState(resources), nodeName: "n1", numbers: NodeNumbers(capacity: 0))
  }

  @Test func ofTwoPodsWithOneAddressTheFirstByNameCounts() {
    let view = view([pod("b", "10.1.0.2", "fd00::2"), pod("a", "10.1.0.1", "fd00::2"), pod("c", "10.1.0.3")])
    #expect(view.localPods.map(\.name.name) == ["a", "c"])
    #expect(
      view.resolvedPods.conflicts.map { "\($0.pod) \($0.address) \($0.owner)" } == ["default/b fd00::2 default/a"])
    let slots = Dictionary(uniqueKeysWithValues: view.localPods.map(\.name).enumerated().map { ($1, UInt32($0 + 1)) })
    let entries = view.addresses(slots: slots).map { "\($0.key) \($0.value.index)" }
    #expect(entries.sorted() == ["10.1.0.1 1", "10.1.0.3 2", "fd00::2 1"])
  }

  @Test func podsThatHaveEndedLeaveTheirAddress() {
    var ended = Workload(
      name: NamespacedName(namespace: "default", name: "a"), node: "n1",
      addresses: [IPAddress("10.1.0.1")].compactMap { $0 })
    ended.isFinished = true
    let view = view([.workload(ended), pod("b", "10.1.0.1")])
    #expect(view.localPods.map(\.name.name) == ["b"])
    #expect(view.resolvedPods.conflicts.isEmpty)
  }
}
