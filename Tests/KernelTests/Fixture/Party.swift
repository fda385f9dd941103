import MartletNetworking

/// Everyone who sends or receives in these tests, with an address of each family.
enum Party: Sendable, CaseIterable {
  /// Pods of the node under test.
  case pod1, pod2
  /// The node under test.
  case node
  /// Another node of the cluster, and a pod there.
  case otherNode, otherPod
  /// A host on the node's own link.
  case client
  /// The node's default gateway.
  case router
  /// A host behind the gateway.
  case remote
  /// A cluster IP, and an address that the world reaches the same service by.
  case service, externalIP
  /// An address of the service range that no service has.
  case unallocated

  func address(_ family: AddressFamily) -> IPAddress {
    switch (self, family) {
    case (.pod1, .ipv4): IPAddress(10, 65, 1, 11)
    case (.pod2, .ipv4): IPAddress(10, 65, 1, 12)
    case (.node, .ipv4): IPAddress(192, 168, 50, 11)
    case (.otherNode, .ipv4): IPAddress(192, 168, 50, 12)
    case (.otherPod, .ipv4): IPAddress(10, 65, 2, 11)
    case (.client, .ipv4): IPAddress(192, 168, 50, 100)
    case (.router, .ipv4): IPAddress(192, 168, 50, 1)
    case (.remote, .ipv4): IPAddress(203, 0, 113, 9)
    case (.service, .ipv4): IPAddress(10, 96, 0, 10)
    case (.externalIP, .ipv4): IPAddress(198, 51, 100, 7)
    case (.unallocated, .ipv4): IPAddress(10, 96, 0, 99)
    case (.pod1, .ipv6): IPAddress(high: 0xfd65_0000_0000_0001, low: 0x11)
    case (.pod2, .ipv6): IPAddress(high: 0xfd65_0000_0000_0001, low: 0x12)
    case (.node, .ipv6): IPAddress(high: 0xfd50_0000_0000_0000, low: 0x11)
    case (.otherNode, .ipv6): IPAddress(high: 0xfd50_0000_0000_0000, low: 0x12)
    case (.otherPod, .ipv6): IPAddress(high: 0xfd65_0000_0000_0002, low: 0x11)
    case (.client, .ipv6): IPAddress(high: 0xfd50_0000_0000_0000, low: 0x100)
    case (.router, .ipv6): IPAddress(high: 0xfd50_0000_0000_0000, low: 1)
    case (.remote, .ipv6): IPAddress(high: 0x2001_0db8_0000_0000, low: 9)
    case (.service, .ipv6): IPAddress(high: 0xfd96_0000_0000_0000, low: 0x10)
    case (.externalIP, .ipv6): IPAddress(high: 0x2001_0db8_0001_0000, low: 7)
    case (.unallocated, .ipv6): IPAddress(high: 0xfd96_0000_0000_0000, low: 0x99)
    }
  }
}
