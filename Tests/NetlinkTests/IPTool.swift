import BPF
import BPFTesting
import Foundation
import MartletNetworking
import Netlink
import Testing

extension Requirement {
  /// Permission to make network namespaces and to change them.
  static let networkNamespaces = Requirement("network namespaces") {
    do {
      _ = try NetworkNamespace()
      return nil
    } catch let error as BPFError {
      return Missing(errno: error.errno, attempt: "creating a network namespace")
    } catch {
      return Missing(cause: "\(error)", attempt: "creating a network namespace")
    }
  }
}

extension NetworkNamespace {
  /// A socket that belongs to this namespace.
  func netlink() throws -> NetlinkSocket {
    try run { try NetlinkSocket() }
  }

  /// What `ip -details -json ARGUMENTS` prints: the oracle of these tests.
  func ipTool<T: Decodable>(_ arguments: String, as type: T.Type = T.self) throws -> T {
    let output = try run {
      try Command(["ip", "-details", "-json"] + arguments.split(separator: " ").map(String.init)).output()
    }
    return try JSONDecoder().decode(type, from: Data(output.utf8))
  }
}

/// A link as ip(8) describes it.
struct ToolLink: Decodable {
  struct Information: Decodable {
    struct Settings: Decodable {
      var external: Bool?
      var id: UInt32?
      var port: UInt16?
      var local: String?
      var local6: String?
      var learning: Bool?
      var link: String?
    }
    var info_kind: String?
    var info_data: Settings?
  }
  var ifindex: UInt32
  var ifname: String
  var flags: [String]
  var mtu: Int
  var operstate: String
  var address: String?
  var master: String?
  var link: String?
  var link_index: UInt32?
  var linkinfo: Information?
}

/// The addresses of a link as ip(8) describes them.
struct ToolAddresses: Decodable {
  struct Address: Decodable {
    var local: String
    var prefixlen: Int
    var address: String?
    var scope: String
    var tentative: Bool?
    var nodad: Bool?
  }
  var ifindex: UInt32
  var addr_info: [Address]
}

/// A route as ip(8) describes it.
struct ToolRoute: Decodable {
  struct Hop: Decodable {
    var gateway: String?
    var dev: String
    var weight: Int
  }
  struct Via: Decodable {
    var family: String
    var host: String
  }
  struct Metrics: Decodable { var mtu: Int? }
  var type: String?
  var dst: String
  var gateway: String?
  var via: Via?
  var dev: String?
  var `protocol`: String?
  var prefsrc: String?
  var metric: UInt32?
  var metrics: [Metrics]?
  var nexthops: [Hop]?
  var table: String?
}

/// A neighbour as ip(8) describes it.
struct ToolNeighbour: Decodable {
  var dst: String
  var lladdr: String?
  var state: [String]
}

/// A rule as ip(8) describes it.
struct ToolRule: Decodable {
  var priority: UInt32
  var src: String
  var srclen: Int?
  var table: String
  var fwmark: String?
  var fwmask: String?
  var iif: String?
}

/// Addresses of one family for a test that holds for both.
struct Plan: Sendable, CustomTestStringConvertible {
  let family: AddressFamily
  let host: IPAddress
  let neighbour: IPAddress
  let elsewhere: IPAddress
  /// A router on the veth's other end, which has no address of its own.
  let onFarLink: IPAddress
  let subnetLength: Int
  let remote: IPPrefix
  /// The option of ip(8).
  let option: String

  var testDescription: String { "\(family)" }

  static func address(_ text: String) -> IPAddress {
    guard let address = IPAddress(text) else { preconditionFailure("not an address: \(text)") }
    return address
  }

  static let both = [
    Plan(
      family: .ipv4, host: address("192.0.2.1"), neighbour: address("192.0.2.2"), elsewhere: address("203.0.113.9"),
      onFarLink: address("198.18.0.2"),
      subnetLength: 24, remote: IPPrefix(address("198.51.100.0"), length: 24), option: "-4"),
    Plan(
      family: .ipv6, host: address("2001:db8::1"), neighbour: address("2001:db8::2"),
      elsewhere: address("2001:db8:f::9"), onFarLink: address("fe80::2"),
      subnetLength: 64, remote: IPPrefix(address("2001:db8:5::"), length: 64),
      option: "-6"),
  ]
}

/// A namespace with a veth pair that is up, `near` of which has the host's address.
struct Network {
  let namespace: NetworkNamespace
  let netlink: NetlinkSocket
  let near: InterfaceIndex
  let far: InterfaceIndex

  init(_ plan: Plan? = nil) throws {
    namespace = try NetworkNamespace()
    netlink = try namespace.netlink()
    near = try netlink.createLink(.veth("near", peer: "far", isUp: true)).index
    far = try #require(try netlink.link(named: "far")).index
    try netlink.setUp(far)
    guard let plan else { return }
    try netlink.addAddress(
      InterfaceAddress(plan.host, prefixLength: plan.subnetLength, interface: near, flags: .noDAD))
    // IPv6 puts the address to use in the background, even without duplicate address detection.
    try eventually { try netlink.route(to: plan.host)?.action == .local }
  }

  func tool<T: Decodable>(_ arguments: String, as type: T.Type = T.self) throws -> T {
    try namespace.ipTool(arguments)
  }
}

/// Waits until `condition` holds; records an issue if it does not within five seconds.
func eventually(
  _ condition: () throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) throws {
  for _ in 0..<500 {
    if try condition() { return }
    usleep(10_000)
  }
  Issue.record("did not come about in five seconds", sourceLocation: sourceLocation)
}
