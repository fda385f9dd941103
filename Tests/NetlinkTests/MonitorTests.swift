import BPFTesting
import MartletNetworking
import Netlink
import Testing

@Suite(.requires(.networkNamespaces), .timeLimit(.minutes(1))) struct MonitorTests {
  private func monitor(
    _ network: Network, _ topics: NetlinkMonitor.Topics, receiveBuffer: Int = 1 << 20
  ) throws -> NetlinkMonitor {
    try network.namespace.run { try NetlinkMonitor(topics, receiveBuffer: receiveBuffer) }
  }

  /// The first event that `match` accepts.
  private func first<T>(
    _ monitor: NetlinkMonitor, where match: (NetlinkEvent) -> T?
  ) async throws -> T {
    for try await event in monitor {
      if let found = match(event) { return found }
    }
    throw CancellationError()
  }

  @Test func linkIsReportedFromCreationToRemoval() async throws {
    let network = try Network()
    let monitor = try monitor(network, .links)
    let created = try network.netlink.createLink(.bridge("d0"))
    let seen = try await first(monitor) { if case .linkChanged(let link) = $0, link.name == "d0" { link } else { nil } }
    #expect(seen.index == created.index)
    #expect(seen.name == "d0")
    #expect(seen.kind == .bridge)

    try network.netlink.setUp(created.index)
    let isUp = try await first(monitor) {
      if case .linkChanged(let link) = $0, link.isUp, link.name == "d0" { link.index } else { nil }
    }
    #expect(isUp == created.index)

    try network.netlink.deleteLink(created.index)
    let removed = try await first(monitor) { if case .linkRemoved(let link) = $0 { link.index } else { nil } }
    #expect(removed == created.index)
  }

  /// A bridge says "link deleted", of its own family, about a port that leaves it.
  @Test func portThatLeavesItsBridgeIsNotRemoved() async throws {
    let network = try Network()
    let bridge = try network.netlink.createLink(.bridge("br0", isUp: true)).index
    let monitor = try monitor(network, .links)
    try network.netlink.setMaster(bridge, of: network.near)
    try network.netlink.setMaster(nil, of: network.near)
    try network.netlink.createLink(.bridge("last"))
    var removed: [NetworkLink] = []
    _ = try await first(monitor) { event in
      if case .linkRemoved(let link) = event { removed.append(link) }
      if case .linkChanged(let link) = event, link.name == "last" { return link }
      return nil
    }
    #expect(removed == [])
  }

  @Test(arguments: Plan.both)
  func addressesRoutesAndNeighboursAreReported(_ plan: Plan) async throws {
    let network = try Network()
    let monitor = try monitor(network, [.addresses, .routes, .neighbours])
    let netlink = network.netlink
    let address = InterfaceAddress(
      plan.host, prefixLength: plan.subnetLength, interface: network.near, flags: .noDAD)
    let route = Route(to: plan.remote, through: [NextHop(gateway: plan.neighbour)])
    let neighbour = Neighbour(plan.neighbour, interface: network.near, macAddress: MACAddress(2, 0, 0, 0, 0, 9))

    try netlink.addAddress(address)
    let added = try await first(monitor) {
      if case .addressAdded(let event) = $0, event.address == plan.host { event } else { nil }
    }
    #expect(added.interface == network.near)
    try netlink.addRoute(route)
    let changed = try await first(monitor) {
      if case .routeChanged(let event) = $0, event.destination == plan.remote { event } else { nil }
    }
    #expect(changed.gateway == plan.neighbour)
    #expect(changed.interface == network.near)
    try netlink.replaceNeighbour(neighbour)
    let known = try await first(monitor) {
      if case .neighbourChanged(let event) = $0, event.address == plan.neighbour { event } else { nil }
    }
    #expect(known == neighbour)

    try netlink.deleteRoute(route)
    _ = try await first(monitor) {
      if case .routeRemoved(let event) = $0, event.destination == plan.remote { event } else { nil }
    }
    try netlink.deleteAddress(address)
    _ = try await first(monitor) {
      if case .addressRemoved(let event) = $0, event.address == plan.host { event } else { nil }
    }
  }

  @Test func otherTopicsAndOtherNamespacesAreNotHeard() throws {
    let network = try Network()
    let monitor = try monitor(network, .links)
    let elsewhere = try Network()
    try elsewhere.netlink.createLink(.bridge("d0"))
    try network.netlink.addAddress(
      InterfaceAddress(Plan.both[0].host, prefixLength: 24, interface: network.near))
    while let event = try monitor.poll() {
      guard case .linkChanged(let link) = event else { throw Unexpected(event: event) }
      #expect(link.name != "d0")
    }
  }

  private struct Unexpected: Error { let event: NetlinkEvent }

  @Test func lossIsReportedOnceAndBeforeAnythingNewer() async throws {
    let network = try Network()
    let monitor = try monitor(network, .links, receiveBuffer: 4096)
    for number in 0..<100 { try network.netlink.createLink(.bridge("d\(number)")) }
    var events: [NetlinkEvent] = []
    while let event = try monitor.poll() { events.append(event) }
    #expect(events == [.overrun])

    let created = try network.netlink.createLink(.bridge("after"))
    let seen = try await first(monitor) {
      if case .linkChanged(let link) = $0, link.name == "after" { link } else { nil }
    }
    #expect(seen.index == created.index)
  }

  @Test func waitingTaskIsWokenByAnEvent() async throws {
    let network = try Network()
    let monitor = try monitor(network, .links)
    while try monitor.poll() != nil {}
    let waiting = Task {
      try await first(monitor) { if case .linkChanged(let link) = $0, link.name == "d0" { link.name } else { nil } }
    }
    try await Task.sleep(for: .milliseconds(50))
    try network.netlink.createLink(.bridge("d0"))
    #expect(try await waiting.value == "d0")
  }

  @Test func cancellationEndsTheSequenceAndLeavesTheMonitorUsable() async throws {
    let network = try Network()
    let monitor = try monitor(network, .links)
    while try monitor.poll() != nil {}
    for pause in [Duration.zero, .milliseconds(20)] {
      let waiting = Task {
        var created = 0
        for try await case .linkChanged(let link) in monitor where link.name == "d0" { created += 1 }
        return created
      }
      try await Task.sleep(for: pause)
      waiting.cancel()
      #expect(try await waiting.value == 0)
    }
    try network.netlink.createLink(.bridge("d0"))
    let name = try await first(monitor) {
      if case .linkChanged(let link) = $0, link.name == "d0" { link.name } else { nil }
    }
    #expect(name == "d0")
  }

  @Test func severalTasksShareTheEvents() async throws {
    let network = try Network()
    let monitor = try monitor(network, .links)
    while try monitor.poll() != nil {}
    let count = 60
    let names = try await withThrowingTaskGroup(of: [String].self) { group in
      for _ in 0..<3 {
        group.addTask {
          var names: [String] = []
          for try await case .linkChanged(let link) in monitor {
            if link.name == "stop" { break }
            if link.name.hasPrefix("d") { names.append(link.name) }
          }
          return names
        }
      }
      for number in 0..<count { try network.netlink.createLink(.bridge("d\(number)")) }
      for _ in 0..<3 {
        let link = try network.netlink.createLink(.bridge("stop"))
        try await Task.sleep(for: .milliseconds(20))
        try network.netlink.deleteLink(link.index)
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(Set(names).count == count)
  }

  @Test(arguments: [0, -1, Int(Int32.max) + 1])
  func impossibleBufferIsRefused(_ size: Int) throws {
    let error = try #require(throws: NetlinkError.self) { try NetlinkMonitor(.links, receiveBuffer: size) }
    #expect(error.kind == .invalid)
  }
}
