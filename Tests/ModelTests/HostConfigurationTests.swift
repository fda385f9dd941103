import MartletModel
import MartletNetworking
import Testing

struct FailsafePortTests {
  private static let texts: [(text: String, port: FailsafePort)] = [
    ("tcp:22", FailsafePort(.tcp, 22)), ("UDP:68", FailsafePort(.udp, 68)), ("sctp:65535", FailsafePort(.sctp, 65535)),
    ("tcp:10.0.0.0/8:22", FailsafePort(.tcp, 22, prefix: IPPrefix("10.0.0.0/8"))),
    ("tcp:192.0.2.1:22", FailsafePort(.tcp, 22, prefix: IPPrefix("192.0.2.1/32"))),
    ("tcp:[fd00::/8]:22", FailsafePort(.tcp, 22, prefix: IPPrefix("fd00::/8"))),
  ]

  @Test(arguments: texts)
  func `reads a port`(text: String, port: FailsafePort) throws {
    #expect(try FailsafePort(parsing: text) == port)
    #expect(try FailsafePort(parsing: port.description) == port)
  }

  @Test func `reads a list`() throws {
    #expect(try FailsafePort.list(parsing: "none") == [])
    #expect(try FailsafePort.list(parsing: "tcp:22") == [FailsafePort(.tcp, 22)])
    #expect(try FailsafePort.list(parsing: "tcp:22, udp:68") == [FailsafePort(.tcp, 22), FailsafePort(.udp, 68)])
    #expect(throws: FailsafePortError.self) { try FailsafePort.list(parsing: "tcp:22,") }
    #expect(throws: FailsafePortError.self) { try FailsafePort.list(parsing: "tcp:22,none") }
  }

  private static let mistakes: [(text: String, message: String)] = [
    ("", #""" is not a port such as tcp:22, tcp:10.0.0.0/8:22 or tcp:[fd00::/8]:22"#),
    ("22", #""22" is not a port such as tcp:22, tcp:10.0.0.0/8:22 or tcp:[fd00::/8]:22"#),
    ("icmp:22", #""icmp" in "icmp:22" is not one of tcp, udp, sctp"#),
    ("tcp:0", #""0" in "tcp:0" is not a port (1 to 65535)"#),
    ("tcp:65536", #""65536" in "tcp:65536" is not a port (1 to 65535)"#),
    ("tcp:022", #""022" in "tcp:022" is not a port (1 to 65535)"#),
    ("tcp:22:23", #""22" in "tcp:22:23" is not a range of addresses such as 10.0.0.0/8 or [fd00::/8]"#),
    (
      "tcp:fd00::/8:22",
      #""fd00::/8" in "tcp:fd00::/8:22" is not a range of addresses such as 10.0.0.0/8 or [fd00::/8]"#
    ),
    (
      "tcp:10.0.0.1/8:22",
      #""10.0.0.1/8" in "tcp:10.0.0.1/8:22" is not a range of addresses such as 10.0.0.0/8 or [fd00::/8]"#
    ),
  ]

  @Test(arguments: mistakes)
  func `says what is wrong`(text: String, message: String) {
    let error = #expect(throws: FailsafePortError.self) { try FailsafePort(parsing: text) }
    #expect(error?.description == message)
  }

  @Test func `the standard ones are Calico's`() {
    let configuration = Configuration(nodeName: "n1")
    #expect(
      configuration.failsafeInbound.map(\.description) == [
        "tcp:22", "tcp:179", "tcp:2379", "tcp:2380", "tcp:5473", "tcp:6443", "tcp:6666", "tcp:6667", "udp:68",
      ])
    #expect(
      configuration.failsafeOutbound.map(\.description) == [
        "udp:53", "udp:67", "tcp:179", "tcp:2379", "tcp:2380", "tcp:5473", "tcp:6443", "tcp:6666", "tcp:6667",
      ])
    #expect(configuration.workloadToHostAction == .automatic)
    #expect(!configuration.automaticHostEndpoints)
  }
}

struct AutomaticHostEndpointTests {
  @Test func `each node has one, which changes nothing by itself`() throws {
    let addresses = ["192.0.2.1", "fd00::1", "192.0.2.1"].compactMap { IPAddress($0) }
    let node = Node(name: "n1", addresses: addresses.map { Node.Address($0) }, labels: ["zone": "a"])
    var state = ClusterState([.node(node)])
    let endpoint = try #require(state.automaticHostEndpoints["n1-auto-hep"])
    #expect(
      endpoint
        == HostEndpoint(
          name: "n1-auto-hep", labels: ["zone": "a", "projectcalico.org/created-by": "calico-kube-controllers"],
          node: "n1",
          interface: "*", expectedAddresses: Array(addresses.prefix(2)), profiles: ["projectcalico-default-allow"]))
    let written = HostEndpoint(name: "n1-auto-hep", node: "n1", interface: "eth0")
    state.apply(.set(.hostEndpoint(written)))
    #expect(state.automaticHostEndpoints == [:])
  }
}
