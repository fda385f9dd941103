import BPFTesting
import Glibc
import MartletNetworking
import Testing

@testable import Netlink

@Suite(.requires(.networkNamespaces)) struct LinkTests {
  private let namespace: NetworkNamespace
  private let netlink: NetlinkSocket

  init() throws {
    namespace = try NetworkNamespace()
    netlink = try namespace.netlink()
  }

  private func toolLink(_ name: String) throws -> ToolLink {
    try #require(try namespace.ipTool("link show dev \(name)", as: [ToolLink].self).first)
  }

  private func error(_ body: () throws(NetlinkError) -> Void) throws -> NetlinkError {
    do throws(NetlinkError) {
      try body()
    } catch {
      return error
    }
    throw NoError()
  }

  private struct NoError: Error {}

  @Test func listingAgreesWithIP() throws {
    try namespace.ip(
      "link add br0 type bridge", "link add near type veth peer name far", "link set near master br0 up mtu 1400",
      "link set br0 up arp off", "link add vx type vxlan external dstport 4789",
      "link add vx7 type vxlan id 7 dev far dstport 4790")
    var links: [NetworkLink] = []
    var expected: [ToolLink] = []
    // Operational states change in the background after a link was set up.
    try eventually {
      links = try netlink.links()
      expected = try namespace.ipTool("link show")
      return try netlink.links() == links
    }
    #expect(links.map(\.index.rawValue) == expected.map(\.ifindex).sorted())
    let names = Dictionary(uniqueKeysWithValues: links.map { ($0.index, $0.name) })
    for tool in expected {
      let link = try #require(links.first { $0.index.rawValue == tool.ifindex })
      #expect(link.name == tool.ifname)
      #expect(link.mtu == tool.mtu)
      #expect(link.kind?.rawValue == tool.linkinfo?.info_kind)
      #expect(link.macAddress?.description == tool.address)
      #expect(link.isUp == tool.flags.contains("UP"))
      #expect(link.flags.contains(.lowerUp) == tool.flags.contains("LOWER_UP"))
      #expect(link.flags.contains(.noARP) == tool.flags.contains("NOARP"))
      #expect(link.isLoopback == tool.flags.contains("LOOPBACK"))
      #expect("\(link.operationalState)".lowercased() == tool.operstate.lowercased())
      #expect(link.master.flatMap { names[$0] } == tool.master)
      #expect(link.linked.flatMap { names[$0] } == tool.link)
      let byIndex = try netlink.link(link.index)
      let byName = try netlink.link(named: link.name)
      for found in [byIndex, byName] {
        #expect(found?.index == link.index)
        #expect(found?.name == link.name)
        #expect(found?.macAddress == link.macAddress)
        #expect(found?.vxlan == link.vxlan)
      }
    }
  }

  @Test func absentLinkIsNil() throws {
    #expect(try netlink.link(named: "nope") == nil)
    #expect(try netlink.link(named: "") == nil)
    #expect(try netlink.link(named: String(repeating: "x", count: 60)) == nil)
    #expect(try netlink.link(named: String(repeating: "x", count: 600)) == nil)
    #expect(try netlink.link(InterfaceIndex(4711)) == nil)
    #expect(try netlink.link(InterfaceIndex(0)) == nil)
  }

  @Test func alternativeNameFindsTheLink() throws {
    let long = "a-name-of-more-than-fifteen-bytes"
    try namespace.ip("link add d0 type bridge", "link property add dev d0 altname \(long)")
    #expect(try netlink.link(named: long)?.name == "d0")
  }

  @Test func vethCrossesNamespaces() throws {
    let pod = try NetworkNamespace()
    let inPod = try pod.netlink()
    let file = open(pod.path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    let link = try netlink.createLink(.veth("pod0", peer: "eth0", peerNamespace: file, mtu: 1444, isUp: true))
    let peer = try #require(try inPod.link(named: "eth0"))
    #expect(link.kind == .veth)
    #expect(link.isUp)
    #expect(!peer.isUp)
    #expect([link.mtu, peer.mtu] == [1444, 1444])
    #expect(link.linked == peer.index)
    #expect(link.linkedNamespace != nil)

    try netlink.deleteLink(link.index)
    #expect(try netlink.link(named: "pod0") == nil)
    #expect(try inPod.link(named: "eth0") == nil)
  }

  @Test func linkMovesToAnotherNamespace() throws {
    let pod = try NetworkNamespace()
    let file = open(pod.path, O_RDONLY | O_CLOEXEC)
    defer { close(file) }
    let link = try netlink.createLink(.veth("d0", peer: "d1"))
    try netlink.moveLink(link.index, toNamespace: file)
    #expect(try netlink.link(named: "d0") == nil)
    #expect(try pod.netlink().link(named: "d0")?.macAddress == link.macAddress)
  }

  @Test func externalVXLANTakesItsTunnelFromThePacket() throws {
    let link = try netlink.createLink(.vxlan("vx0", VXLAN(.external, port: 4790), mtu: 1450, isUp: true))
    #expect(link.vxlan == VXLAN(.external, port: 4790))
    let tool = try toolLink("vx0")
    #expect(tool.linkinfo?.info_data?.external == true)
    #expect(tool.linkinfo?.info_data?.port == 4790)
    #expect(tool.linkinfo?.info_data?.learning != true)
    #expect(tool.mtu == 1450)
  }

  @Test(arguments: ["192.0.2.7", "2001:db8::7"])
  func vxlanKeepsItsSettings(_ local: String) throws {
    let lower = try netlink.createLink(.bridge("d0")).index
    let address = try #require(IPAddress(local))
    let settings = VXLAN(.fixed(4096), local: address, lower: lower, isLearning: true)
    #expect(try netlink.createLink(.vxlan("vx0", settings)).vxlan == settings)
    let tool = try toolLink("vx0")
    #expect(tool.linkinfo?.info_data?.id == 4096)
    #expect((tool.linkinfo?.info_data?.local ?? tool.linkinfo?.info_data?.local6) == local)
    #expect(tool.linkinfo?.info_data?.link == "d0")
  }

  @Test func settingsOfALinkCanBeChanged() throws {
    let link = try netlink.createLink(.veth("d0", peer: "d1")).index
    let bridge = try netlink.createLink(.bridge("br0")).index
    let mac = MACAddress(2, 0, 0, 0, 0, 9)
    try netlink.setUp(link)
    try netlink.setMTU(1234, of: link)
    try netlink.setMACAddress(mac, of: link)
    try netlink.setMaster(bridge, of: link)
    var tool = try toolLink("d0")
    #expect(tool.flags.contains("UP"))
    #expect(tool.mtu == 1234)
    #expect(tool.address == "\(mac)")
    #expect(tool.master == "br0")

    try netlink.setMaster(nil, of: link)
    try netlink.setDown(link)
    tool = try toolLink("d0")
    #expect(!tool.flags.contains("UP"))
    #expect(tool.master == nil)
  }

  @Test func refusalsNameTheObjectAndTheCause() throws {
    let link = try netlink.createLink(.bridge("d0")).index
    let taken = try error { () throws(NetlinkError) in try netlink.createLink(.bridge("d0")) }
    #expect(taken.kind == .exists)
    #expect(taken.errno == EEXIST)
    #expect(taken.description.contains("create bridge link 'd0'"))

    let unknown = LinkSpecification("x0", kind: .simple(LinkKind(rawValue: "martlet")))
    let unsupported = try error { () throws(NetlinkError) in try netlink.createLink(unknown) }
    #expect(unsupported.kind == .unsupported)
    #expect(unsupported.hint != nil)

    let tooSmall = try error { () throws(NetlinkError) in
      try netlink.setMTU(1, of: try netlink.createLink(.veth("near", peer: "far")).index)
    }
    #expect(tooSmall.kind == .invalid)
    #expect(tooSmall.kernelMessage?.contains("mtu") == true)

    #expect(try error { () throws(NetlinkError) in try netlink.deleteLink(InterfaceIndex(4711)) }.kind == .notFound)
    #expect(try error { () throws(NetlinkError) in try netlink.setUp(InterfaceIndex(0)) }.kind == .invalid)
    #expect(try error { () throws(NetlinkError) in try netlink.setMTU(-1, of: link) }.kind == .invalid)
  }

  @Test(arguments: ["", "sixteen-bytes-xx", "a b", "a/b", "a:b", "eth%d", ".", ".."])
  func impossibleNameIsRefusedBeforeTheKernelSeesIt(_ name: String) throws {
    let own = try error { () throws(NetlinkError) in try netlink.createLink(.bridge(name)) }
    let peer = try error { () throws(NetlinkError) in try netlink.createLink(.veth("near", peer: name)) }
    for error in [own, peer] {
      #expect(error.kind == .invalid)
      #expect(error.errno == 0)
      #expect(error.hint != nil)
    }
    #expect(try netlink.links().count == 1)
  }

  @Test func tooLargeVXLANIdentifierIsRefused() throws {
    let number: UInt32 = 1 << 24
    let error = try error { () throws(NetlinkError) in try netlink.createLink(.vxlan("vx", VXLAN(.fixed(number)))) }
    #expect(error.kind == .invalid)
    #expect(error.hint?.contains("\(number)") == true)
  }

  /// A datagram that did not fit would be cut, and links lost with it.
  @Test func smallReceiveBufferGrows() throws {
    for number in 0..<40 { try netlink.createLink(.bridge("d\(number)")) }
    let small = try namespace.run { try NetlinkSocket(receiveCapacity: 16) }
    #expect(try small.links() == netlink.links())
  }

  @Test func listingIsCompleteWhileLinksComeAndGo() throws {
    let namespace = namespace
    let stable = 150
    for number in 0..<stable { try netlink.createLink(.bridge("d\(number)")) }
    let churn = Churn { round in
      let other = try namespace.netlink()
      while round() {
        let link = try other.createLink(.bridge("churn")).index
        try other.deleteLink(link)
      }
    }
    defer { churn.stop() }
    for _ in 0..<20 {
      let names = try netlink.links().map(\.name).filter { $0.hasPrefix("d") }
      #expect(names.count == stable)
      #expect(Set(names).count == stable)
    }
  }

  @Test func anAnswerToOneThreadIsNotGivenToAnother() async throws {
    let netlink = netlink
    for number in 0..<8 { try netlink.createLink(.bridge("d\(number)")) }
    try await withThrowingTaskGroup { group in
      for number in 0..<8 {
        group.addTask {
          for _ in 0..<50 {
            let link = try netlink.link(named: "d\(number)")
            #expect(link?.name == "d\(number)")
          }
        }
      }
      try await group.waitForAll()
    }
  }
}
