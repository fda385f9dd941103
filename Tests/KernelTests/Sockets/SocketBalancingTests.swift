import BPF
import BPFTesting
import CBPF
import Glibc
import MartletDataPlane
import MartletNetworking
import Testing

/// A socket of some family, and the family of the service that it asks for.
enum Way: CaseIterable {
  case ipv4, ipv6, mapped

  var socket: SocketFamily { self == .ipv4 ? .ipv4 : .ipv6 }
  var service: SocketFamily { self == .ipv6 ? .ipv6 : .ipv4 }

  /// A cluster IP.
  var address: IPAddress { service == .ipv4 ? IPAddress(10, 96, 0, 10) : IPAddress("fd96::10") ?? .unspecified(.ipv6) }
  var virtual: SocketAddress { SocketAddress(address, 80) }
}

private let refused = TestSocket.Failure(call: "connect", number: ECONNREFUSED)

@Suite(.requiresBPF) struct SocketBalancingTests {
  private let node: SocketNode

  init() throws {
    node = try SocketNode()
    try node.balance()
    try node.introducePods()
  }

  private func target(_ pod: Int, _ way: Way, port: UInt16 = 8080) -> SocketAddress {
    SocketAddress(node.pods[pod].address(way.service), port)
  }

  // MARK: - TCP

  @Test(arguments: Way.allCases) func connectionGoesToABackendAndSpeaksOfTheService(_ way: Way) throws {
    let server = try node.server(.stream, in: 1)
    try node.publish(way.virtual, .stream, to: [target(1, way)])
    for client in SocketNode.Client.allCases {
      let socket = try node.socket(.stream, way.socket, of: client)
      try socket.connect(way.virtual)
      let (connection, from) = try server.accept()
      #expect(from == socket.name, "the server sees who asks")
      #expect(connection.name == target(1, way))
      #expect(socket.peerName == way.virtual)
      try socket.send("question")
      #expect(try connection.receive().text == "question")
    }
    #expect(try node.balanced() == 2)
  }

  @Test func serviceWithoutEndpointsRefuses() throws {
    for way in Way.allCases {
      try node.publish(way.virtual, .stream, to: [])
      try node.publish(way.virtual, .datagram, to: [])
      for client in SocketNode.Client.allCases {
        for kind in [TestSocket.Kind.stream, .datagram] {
          #expect(throws: refused, "\(kind) of \(client)") {
            try node.socket(kind, way.socket, of: client).connect(way.virtual)
          }
        }
      }
    }
  }

  @Test func unusedPortOfAClusterIPRefuses() throws {
    for way in Way.allCases {
      try node.allocate(way.address)
      #expect(throws: refused) { try node.socket(.stream, way.socket, of: .node).connect(way.virtual) }
    }
  }

  @Test func serviceWithoutLocalEndpointsIsLeftToThePacketPathWhichDrops() throws {
    try node.publish(
      Way.ipv4.virtual, .stream, to: [], flags: FRONTEND_INTERNAL_LOCAL.rawValue | FRONTEND_HAS_ENDPOINTS.rawValue)
    #expect(throws: TestSocket.Failure(call: "connect", number: EINPROGRESS), "it waits in vain") {
      try node.socket(.stream, .ipv4, of: .pod).connect(Way.ipv4.virtual)
    }
  }

  @Test func reconnectedSocketNamesWhomItIsConnectedTo() throws {
    let server = try node.server(.stream, in: 1)
    try node.publish(Way.ipv4.virtual, .stream, to: [target(1, .ipv4)])
    let socket = try node.socket(.stream, .ipv4, of: .pod)
    try socket.connect(Way.ipv4.virtual)
    _ = try server.accept()
    try socket.disconnect()
    try socket.connect(target(1, .ipv4))
    #expect(socket.peerName == target(1, .ipv4))
  }

  @Test func nodePortAnswersAtTheNodesAddress() throws {
    let server = try node.server(.stream, in: 1)
    for way in [Way.ipv4, .ipv6] {
      let nodePort = SocketAddress(node.address(way.service), 30_080)
      try node.publish(
        nodePort, .stream, to: [target(1, way)],
        flags: FRONTEND_EXTERNAL.rawValue | FRONTEND_EXTERNAL_LOCAL.rawValue)
      for client in SocketNode.Client.allCases {
        let socket = try node.socket(.stream, way.socket, of: client)
        try socket.connect(nodePort)
        #expect(try server.accept().from == socket.name)
        #expect(socket.peerName == nodePort)
      }
    }
    #expect(try node.balanced() == 4)
  }

  @Test func sourceRangesAreJudgedByThePacketPath() throws {
    let server = try node.server(.stream, in: 1)
    try node.publish(
      Way.ipv4.virtual, .stream, to: [target(1, .ipv4)], service: 7, flags: FRONTEND_SOURCE_RANGES.rawValue)
    try node.admit(#require(IPPrefix("10.77.0.1/32")), to: 7)
    let admitted = try node.socket(.stream, .ipv4, in: node.pods[0].namespace)
    try admitted.connect(Way.ipv4.virtual)
    #expect(try server.accept().from == admitted.name)
    #expect(throws: TestSocket.Failure(call: "connect", number: EINPROGRESS)) {
      try node.socket(.stream, .ipv4, in: node.pods[2].namespace).connect(Way.ipv4.virtual)
    }
    #expect(try node.balanced() == 0)
  }

  // MARK: - UDP

  @Test(arguments: Way.allCases)
  func datagramsOfASocketGoToOneBackendAndAnswersComeFromTheService(_ way: Way) throws {
    let servers = try (0..<4).map { try node.server(.datagram, in: 1, port: 8080 + $0) }
    try node.publish(way.virtual, .datagram, to: (0..<4).map { target(1, way, port: 8080 + $0) })
    for client in SocketNode.Client.allCases {
      let socket = try node.socket(.datagram, way.socket, of: client)
      for number in 1...5 { try socket.send("\(number)", to: way.virtual) }
      let server = try #require(try servers.first { try $0.isReadable() })
      for number in 1...5 {
        let (text, from) = try server.receive()
        #expect(text == "\(number)")
        try server.send("answer", to: from)
        #expect(try socket.receive().from == way.virtual)
      }
    }
    #expect(try node.balanced() == 10)
  }

  @Test func socketMovesOnWhenItsBackendServesNoLonger() throws {
    let (first, second) = (try node.server(.datagram, in: 1), try node.server(.datagram, in: 2))
    let socket = try node.socket(.datagram, .ipv4, of: .pod)
    try node.publish(Way.ipv4.virtual, .datagram, to: [target(1, .ipv4)])
    try socket.send("one", to: Way.ipv4.virtual)
    #expect(try first.receive().text == "one")
    // It takes no new clients, and still serves the old ones.
    try node.publish(Way.ipv4.virtual, .datagram, to: [target(2, .ipv4)])
    try socket.send("two", to: Way.ipv4.virtual)
    #expect(try first.receive().text == "two")
    try node.revoke(target(1, .ipv4))
    try socket.send("three", to: Way.ipv4.virtual)
    let (text, from) = try second.receive()
    #expect(text == "three")
    try second.send("answer", to: from)
    #expect(try socket.receive().from == Way.ipv4.virtual)
    try node.publish(Way.ipv4.virtual, .datagram, to: [])
    try node.revoke(target(2, .ipv4))
    #expect(throws: TestSocket.Failure(call: "sendto", number: ECONNREFUSED)) {
      try socket.send("four", to: Way.ipv4.virtual)
    }
  }

  @Test func twoServicesWithOneBackendAreToldApartOnOneSocket() throws {
    let server = try node.server(.datagram, in: 1)
    let other = SocketAddress(IPAddress(10, 96, 0, 20), 80)
    try node.publish(Way.ipv4.virtual, .datagram, to: [target(1, .ipv4)], service: 1)
    try node.publish(other, .datagram, to: [target(1, .ipv4)], service: 2)
    let socket = try node.socket(.datagram, .ipv4, of: .pod)
    for service in [Way.ipv4.virtual, other, Way.ipv4.virtual] {
      try socket.send("question", to: service)
      try server.send("answer", to: server.receive().from)
      #expect(try socket.receive().from == service)
    }
  }

  /// Which it may have been given before through a service, and now means itself.
  @Test(arguments: Way.allCases) func socketThatConnectsToABackendHearsItByItsOwnAddress(_ way: Way) throws {
    let server = try node.server(.datagram, in: 1)
    try node.publish(way.virtual, .datagram, to: [target(1, way)])
    let socket = try node.socket(.datagram, way.socket, of: .pod)
    try socket.send("question", to: way.virtual)
    try server.send("answer", to: server.receive().from)
    #expect(try socket.receive().from == way.virtual)
    try socket.connect(target(1, way))
    try socket.send("question")
    try server.send("answer", to: server.receive().from)
    #expect(try socket.receive().from == target(1, way))
    #expect(socket.peerName == target(1, way))
  }

  @Test(arguments: Way.allCases) func connectedSocketIsLeftToThePacketPath(_ way: Way) throws {
    let server = try node.server(.datagram, in: 1)
    try node.publish(way.virtual, .datagram, to: [target(1, way)])
    let socket = try node.socket(.datagram, way.socket, of: .pod)
    try socket.connect(way.virtual)
    try socket.send("question")
    let (text, from) = try server.receive()
    #expect(text == "question")
    try server.send("answer", to: from)
    #expect(try socket.receive().from == way.virtual)
    #expect(socket.peerName == way.virtual)
    #expect(try node.balanced() == 0)
  }

  // MARK: - Affinity

  @Test func affinityIsByNamespace() throws {
    let servers = try (0..<8).map { try node.server(.stream, in: 1, port: 8080 + $0) }
    try node.publish(
      Way.ipv4.virtual, .stream, to: (0..<8).map { target(1, .ipv4, port: 8080 + $0) }, affinity: 60)
    for namespace in [node.namespace, node.pods[0].namespace, node.pods[2].namespace] {
      var chosen: Set<UInt16> = []
      for _ in 1...6 {
        try node.socket(.stream, .ipv4, in: namespace).connect(Way.ipv4.virtual)
        let server = try #require(try servers.first { try $0.isReadable() })
        chosen.insert(try #require(server.accept().connection.name).port)
      }
      #expect(chosen.count == 1)
    }
    #expect(try node.affinityClients().count == 3, "each namespace has an entry of its own")
  }

  // MARK: - Who is balanced

  @Test func podThatOptsOutIsServedByThePacketPath() throws {
    let server = try node.server(.stream, in: 1)
    try node.publish(Way.ipv4.virtual, .stream, to: [target(1, .ipv4)])
    let sockets = try #require(node.sockets)
    let pod = node.pods[0]
    func connect() throws {
      let socket = try node.socket(.stream, .ipv4, in: pod.namespace)
      try socket.connect(Way.ipv4.virtual)
      #expect(try server.accept().from == socket.name)
      #expect(socket.peerName == Way.ipv4.virtual)
    }
    try sockets.leaveAlone([pod.interface])
    try connect()
    #expect(try node.balanced() == 0)
    try node.socket(.stream, .ipv4, in: node.pods[2].namespace).connect(Way.ipv4.virtual)
    #expect(try node.balanced() == 1, "another pod in the same cgroup has not opted out")
    _ = try server.accept()
    try sockets.leaveAlone([])
    try connect()
    #expect(try node.balanced() == 2)
  }

  @Test func namespaceThatIsNoPodsIsLeftAlone() throws {
    try node.publish(Way.ipv4.virtual, .stream, to: [])
    let foreign = try NetworkNamespace()
    #expect(throws: TestSocket.Failure(call: "connect", number: ENETUNREACH)) {
      try node.socket(.stream, .ipv4, in: foreign).connect(Way.ipv4.virtual)
    }
  }

  @Test func otherCgroupIsLeftAlone() throws {
    try node.publish(Way.ipv4.virtual, .stream, to: [])
    let socket = try node.pods[0].namespace.run { try TestSocket(.stream, .ipv4) }
    #expect(throws: refused, "by a reset") { try socket.connect(Way.ipv4.virtual) }
    let neighbour = try node.namespace.run { try TestSocket(.stream, .ipv4) }
    #expect(throws: TestSocket.Failure(call: "connect", number: EINPROGRESS)) {
      try neighbour.connect(Way.ipv4.virtual)
    }
  }

  // MARK: - Node ports of this node, packet by packet

  /// Where the backend is.
  enum Place: CaseIterable { case pod, network, node }

  private func nodePortBackend(_ place: Place) throws -> (namespace: NetworkNamespace, v4: IPAddress, v6: IPAddress) {
    switch place {
    case .pod: return (node.pods[1].namespace, node.pods[1].v4, node.pods[1].v6)
    case .network:
      try node.attachNetwork()
      return (node.network, node.neighbour4, node.neighbour6)
    case .node: return (node.namespace, node.v4, node.v6)
    }
  }

  @Test(arguments: Place.allCases) func hostReachesItsOwnNodePortWithoutBalancing(_ place: Place) throws {
    let backend = try nodePortBackend(place)
    let server = try node.server(.stream, in: backend.namespace)
    for way in [Way.ipv4, .ipv6] {
      let nodePort = SocketAddress(node.address(way.service), 30_080)
      let address = way == .ipv4 ? backend.v4 : backend.v6
      try node.publish(nodePort, .stream, to: [SocketAddress(address, 8080)], flags: FRONTEND_EXTERNAL.rawValue)
      let socket = try node.namespace.run { try TestSocket(.stream, way.socket) }
      try socket.connect(nodePort)
      let (connection, from) = try server.accept()
      #expect(from == socket.name)
      #expect(from?.address == nodePort.address)
      let question = String(repeating: "question", count: 8_000)
      try socket.send(question)
      #expect(try connection.receive(question.utf8.count) == question)
      try connection.send("answer")
      #expect(try socket.receive().text == "answer")
    }
    #expect(try node.balanced() == 0)
  }

  @Test(arguments: Place.allCases) func hostsConnectedDatagramsReachItsOwnNodePort(_ place: Place) throws {
    let backend = try nodePortBackend(place)
    let server = try node.server(.datagram, in: backend.namespace)
    for way in [Way.ipv4, .ipv6] {
      let nodePort = SocketAddress(node.address(way.service), 30_053)
      let address = way == .ipv4 ? backend.v4 : backend.v6
      try node.publish(nodePort, .datagram, to: [SocketAddress(address, 8080)], flags: FRONTEND_EXTERNAL.rawValue)
      let socket = try node.socket(.datagram, way.socket, of: .node)
      try socket.connect(nodePort)
      for number in 1...3 {
        try socket.send("\(number)")
        let (text, from) = try server.receive()
        #expect(text == "\(number)")
        #expect(from == socket.name)
        try server.send("answer \(number)", to: from)
        #expect(try socket.receive().text == "answer \(number)")
      }
    }
  }

  @Test func hostsOwnNodePortRefusesWithoutEndpoints() throws {
    // Somebody who listens all the same must not get the connection.
    let listener = try node.server(.stream, in: node.namespace, port: 30_080)
    for way in [Way.ipv4, .ipv6] {
      let nodePort = SocketAddress(node.address(way.service), 30_080)
      try node.publish(nodePort, .stream, to: [], flags: FRONTEND_EXTERNAL.rawValue)
      let socket = try node.namespace.run { try TestSocket(.stream, way.socket) }
      #expect(throws: refused) { try socket.connect(nodePort) }
    }
    #expect(try !listener.isReadable())
  }

  @Test func otherTrafficOfTheHostWithItselfPasses() throws {
    let listener = try node.server(.stream, in: node.namespace, port: 8081)
    for address in [IPAddress(127, 0, 0, 1), IPAddress(high: 0, low: 1), node.v4, node.v6] {
      let socket = try node.namespace.run { try TestSocket(.stream, address.isIPv4 ? .ipv4 : .ipv6) }
      try socket.connect(SocketAddress(address, 8081))
      #expect(try listener.accept().from == socket.name)
    }
  }

  // MARK: - Lifetime

  @Test func successorTakesOverWithoutRunningSocketsNoticing() throws {
    let (listener, server) = (try node.server(.stream, in: 1), try node.server(.datagram, in: 1))
    try node.publish(Way.ipv4.virtual, .stream, to: [target(1, .ipv4)])
    try node.publish(Way.ipv4.virtual, .datagram, to: [target(1, .ipv4)])
    let (stream, datagram) = (
      try node.socket(.stream, .ipv4, of: .pod), try node.socket(.datagram, .ipv4, of: .pod)
    )
    try stream.connect(Way.ipv4.virtual)
    _ = try listener.accept()
    try datagram.send("question", to: Way.ipv4.virtual)
    try node.sockets?.leaveAlone([node.pods[2].interface])
    let link = try Link(pinnedAt: "\(node.pins.path)/connect4").info

    try node.balance()

    let successor = try Link(pinnedAt: "\(node.pins.path)/connect4").info
    #expect(successor.id == link.id)
    #expect(successor.programID != link.programID)
    #expect(stream.peerName == Way.ipv4.virtual)
    try server.send("answer", to: server.receive().from)
    #expect(try datagram.receive().from == Way.ipv4.virtual)
    let before = try node.balanced()
    try node.socket(.stream, .ipv4, in: node.pods[2].namespace).connect(Way.ipv4.virtual)
    #expect(try node.balanced() == before, "who had opted out still has")
  }

  @Test func removalDetachesAndLeavesNoPin() throws {
    try node.publish(Way.ipv4.virtual, .stream, to: [])
    #expect(try SocketBalancing.remove(pinFolder: node.pins.path) == 11)
    #expect(access("\(node.pins.path)/connect4", F_OK) != 0)
    #expect(throws: TestSocket.Failure(call: "connect", number: EINPROGRESS)) {
      try node.socket(.stream, .ipv4, of: .node).connect(Way.ipv4.virtual)
    }
    #expect(try SocketBalancing.remove(pinFolder: node.pins.path) == 0)
  }

  @Test func folderThatIsNoCgroupIsNamed() throws {
    let error = try #require(throws: BPFError.self) {
      try SocketBalancing(
        sharing: { (name: String) throws(BPFError) in throw BPFError(.notFound, operation: "find", object: name) },
        cgroup: "/etc", pinFolder: node.pins.path)
    }
    #expect(error.kind == .invalid)
    #expect(error.description.contains("/etc"))
  }
}
