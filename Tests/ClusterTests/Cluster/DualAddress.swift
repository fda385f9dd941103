import MartletNetworking
import Testing

/// An address of each family, for what exists in both.
struct DualAddress: Hashable {
  let v4: IPAddress
  let v6: IPAddress

  init(_ v4: IPAddress, _ v6: IPAddress) {
    self.v4 = v4
    self.v6 = v6
  }

  /// Of literals in the tests' own text.
  init(_ v4: String, _ v6: String) {
    guard let v4 = IPAddress(v4), let v6 = IPAddress(v6) else { preconditionFailure("\(v4), \(v6): not addresses") }
    self.init(v4, v6)
  }

  subscript(family: AddressFamily) -> IPAddress { family == .ipv4 ? v4 : v6 }

  var both: [IPAddress] { [v4, v6] }
}

extension DualAddress {
  /// The cluster IP of the service of most tests.
  static let web = DualAddress("10.96.0.10", "fd96::10")
  /// The cluster IP of another one.
  static let other = DualAddress("10.96.0.11", "fd96::11")
  /// A cluster IP that no service has.
  static let unallocated = DualAddress("10.96.99.99", "fd96::9999")
  /// Addresses that no host has and that are routed to the nodes.
  static let external = DualAddress("203.0.113.10", "2001:db8:e::10")
  static let loadBalancer = DualAddress("203.0.113.20", "2001:db8:e::20")
  static let otherLoadBalancer = DualAddress("203.0.113.21", "2001:db8:e::21")
}
