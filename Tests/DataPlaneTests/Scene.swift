import MartletDataPlane
import MartletModel
import MartletNetworking
import MartletServices

/// A small cluster in both families: this node with pods a and b, another with pod c, and the world.
enum Scene {
  static let here = "node-1"
  static let there = "node-2"
  static let a = NamespacedName(namespace: "default", name: "a")
  static let b = NamespacedName(namespace: "default", name: "b")
  static let c = NamespacedName(namespace: "default", name: "c")
  static let web = NamespacedName(namespace: "default", name: "web")
  static let pods = [a, b, c]

  /// Everyone who sends or receives.
  enum Party: CaseIterable {
    case a, b, c, here, there, world, clusterIP, externalIP, unallocated
  }

  static func address(_ party: Party, _ family: AddressFamily) -> IPAddress {
    let text =
      switch party {
      case .a: ("10.65.1.11", "fd65:0:0:1::11")
      case .b: ("10.65.1.12", "fd65:0:0:1::12")
      case .c: ("10.65.2.11", "fd65:0:0:2::11")
      case .here: ("192.168.50.11", "fd50::11")
      case .there: ("192.168.50.12", "fd50::12")
      case .world: ("203.0.113.9", "2001:db8::9")
      case .clusterIP: ("10.96.0.10", "fd96::10")
      case .externalIP: ("198.51.100.7", "2001:db8:1::7")
      case .unallocated: ("10.96.0.99", "fd96::99")
      }
    guard let address = IPAddress(family == .ipv4 ? text.0 : text.1) else { preconditionFailure("\(text)") }
    return address
  }

  static func prefix(_ party: Party, _ family: AddressFamily, _ length4: Int, _ length6: Int) -> IPPrefix {
    IPPrefix(address(party, family), length: family == .ipv4 ? length4 : length6)
  }

  static var configuration: Configuration {
    Configuration(
      nodeName: here, serviceCIDRs: AddressFamily.allCases.map { prefix(.clusterIP, $0, 12, 108) }, maglevTableSize: 251
    )
  }

  /// Nodes and pods, without any service.
  static var cluster: ClusterState {
    ClusterState([
      .node(node(here, .here, pods: .a)), .node(node(there, .there, pods: .c)),
      .workload(pod(a, .a, on: here)), .workload(pod(b, .b, on: here)), .workload(pod(c, .c, on: there)),
    ])
  }

  private static func node(_ name: String, _ party: Party, pods: Party) -> Node {
    Node(
      name: name, addresses: AddressFamily.allCases.map { Node.Address(address(party, $0)) },
      podPrefixes: AddressFamily.allCases.map { prefix(pods, $0, 24, 64) })
  }

  private static func pod(_ name: NamespacedName, _ party: Party, on node: String) -> Workload {
    Workload(
      name: name, node: node, addresses: AddressFamily.allCases.map { address(party, $0) },
      labels: ["pod": name.name], ports: [Workload.Port(name: "http", port: 8080)])
  }

  /// Service `web`: port 80, node port 30080, an external IP.
  static func service(_ number: L4Protocol = .tcp) -> Service {
    Service(
      name: web, kind: .nodePort, clusterIPs: AddressFamily.allCases.map { address(.clusterIP, $0) },
      externalIPs: AddressFamily.allCases.map { address(.externalIP, $0) },
      ports: [Service.Port(protocol: number, port: 80, nodePort: 30_080)])
  }

  /// Slices with `parties`, of both families, at port 8080.
  static func slices(_ parties: [Party], _ number: L4Protocol = .tcp) -> [Resource] {
    AddressFamily.allCases.map { family in
      .endpointSlice(
        EndpointSlice(
          name: NamespacedName(namespace: "default", name: "web-\(family)"), serviceName: "web", family: family,
          endpoints: parties.map { party in
            EndpointSlice.Endpoint(address: address(party, family), node: node(of: party))
          },
          ports: [EndpointSlice.Port(protocol: number, port: 8080)]))
    }
  }

  private static func node(of party: Party) -> String? {
    switch party {
    case .a, .b, .here: here
    case .c, .there: there
    default: nil
    }
  }
}

extension ClusterState {
  /// The state with these objects as well.
  func with(_ resources: [Resource]) -> ClusterState {
    var state = self
    for resource in resources { state.apply(.set(resource)) }
    return state
  }
}
