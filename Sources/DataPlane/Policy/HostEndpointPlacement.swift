import Model
import Netlink
import Networking

/// Which host endpoint protects which interface of a node.
struct HostEndpointPlacement {
  /// The names of the host endpoints by interface; ``everyInterface`` stands for all that have none of their own.
  private(set) var names: [InterfaceIndex: String] = [:]
  /// Host endpoints that are in the way of each other.
  private(set) var problems: [DataPlaneProblem] = []

  static let everyInterface = InterfaceIndex(UInt32(0))

  /// Places `endpoints`. Of several for one interface the first in order of name counts; written ones come before
  /// `automatic` ones.
  init(
    _ endpoints: some Sequence<HostEndpoint>, automatic: some Sequence<HostEndpoint>,
    links: [InterfaceIndex: NetworkLink], addresses: [InterfaceAddress]
  ) {
    for endpoint in endpoints.sorted(by: { $0.name < $1.name }) {
      for interface in Self.interfaces(of: endpoint, links, addresses) {
        if let other = names[interface] {
          problems.append(Self.conflict(endpoint, other, links[interface]?.name))
        } else {
          names[interface] = endpoint.name
        }
      }
    }
    for endpoint in automatic {
      for interface in Self.interfaces(of: endpoint, links, addresses) where names[interface] == nil {
        names[interface] = endpoint.name
      }
    }
  }

  private static func interfaces(
    of endpoint: HostEndpoint, _ links: [InterfaceIndex: NetworkLink], _ addresses: [InterfaceAddress]
  ) -> [InterfaceIndex] {
    switch endpoint.interface {
    case HostEndpoint.everyInterface: return [everyInterface]
    case let name?: return links.values.filter { $0.name == name }.map(\.index)
    case nil:
      let expected = Set(endpoint.expectedAddresses)
      return Set(addresses.filter { expected.contains($0.address) }.map(\.interface)).sorted()
    }
  }

  private static func conflict(_ endpoint: HostEndpoint, _ other: String, _ interface: String?) -> DataPlaneProblem {
    let place = interface.map { "interface \($0)" } ?? "every interface"
    return DataPlaneProblem(
      "host endpoint \(endpoint.name)",
      "host endpoint \(other) is for \(place) already, and counts there: remove one of them, or give them different "
        + "interfaces")
  }
}
