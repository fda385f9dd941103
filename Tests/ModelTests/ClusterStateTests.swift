import MartletModel
import MartletNetworking
import Testing

private let web = NamespacedName(namespace: "default", name: "web")

struct ClusterStateTests {
  private let before = ClusterState([
    .namespace(Namespace(name: "default")),
    .node(Node(name: "n1")),
    .workload(Workload(name: NamespacedName(namespace: "default", name: "a"), node: "n1")),
    .endpointSlice(EndpointSlice(name: web, serviceName: "web", family: .ipv4)),
    .service(Service(name: web)),
  ])

  @Test func `no change turns a state into itself`() {
    #expect(before.changes(to: before).isEmpty)
  }

  @Test func `names are separate for each kind`() {
    #expect(before[.service(web)] == .service(Service(name: web)))
    #expect(before[.workload(web)] == nil)
    #expect(before[.endpointSlice(web)]?.key == .endpointSlice(web))
  }

  @Test func `one changed object is one change`() {
    var after = before
    after.services[web]?.clusterIPs = [IPAddress(10, 96, 0, 1)]
    let service = Service(name: web, clusterIPs: [IPAddress(10, 96, 0, 1)])
    #expect(before.changes(to: after) == [.set(.service(service))])
  }

  @Test func `what refers comes after what it refers to, and goes before`() {
    let down = before.changes(to: ClusterState())
    let up = ClusterState().changes(to: before)
    #expect(
      up.map(\.key.description) == [
        "namespace default", "node n1", "workload default/a", "endpoint slice default/web", "service default/web",
      ])
    #expect(down.map(\.key) == up.map(\.key).reversed())
    #expect(down == down.map { .removed($0.key) })
  }

  @Test func `the changes between random states lead from one to the other`() {
    var random = SystemRandomNumberGenerator()
    func state() -> ClusterState {
      ClusterState(
        (0..<40).map { _ in
          let name = NamespacedName(namespace: "ns", name: "\(Int.random(in: 0..<12, using: &random))")
          switch Int.random(in: 0..<5, using: &random) {
          case 0: return .namespace(Namespace(name: name.name, labels: ["x": "\(Bool.random())"]))
          case 1: return .node(Node(name: name.name, isReady: .random()))
          case 2: return .workload(Workload(name: name, isFinished: .random()))
          case 3:
            return .endpointSlice(EndpointSlice(name: name, serviceName: nil, family: .ipv6, isHeadless: .random()))
          default: return .service(Service(name: name, isHeadless: .random()))
          }
        })
    }
    for _ in 0..<200 {
      let old = state()
      let new = state()
      let changes = old.changes(to: new)
      var changed = old
      for change in changes { changed.apply(change) }
      #expect(changed == new)
      #expect(Set(changes.map(\.key)).count == changes.count)
      // Nothing that could be left out.
      #expect(changes.allSatisfy { old[$0.key] != new[$0.key] })
    }
  }
}
