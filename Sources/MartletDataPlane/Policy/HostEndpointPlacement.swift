import MartletModel
import MartletNetworking
import Netlink

/// An interface of the node, as far as host endpoints can tell it.
struct HostInterface {
  let index: InterfaceIndex
  let name: String
  let addresses: [IPAddress]
}

/// Which host endpoint protects which interface of a node.
struct HostEndpointPlacement {
  /// The names of the host endpoints by interface; ``everyInterface`` stands for all that have none of their own.
  private(set) var names: [InterfaceIndex: String] = [:]
  /// Whether anybody has written a host endpoint for the node, wherever it may be.
  let hasWritten: Bool
  /// Host endpoints that are in the way of each other, or that are nowhere.
  private(set) var problems: [DataPlaneProblem] = []

  static let everyInterface = InterfaceIndex(UInt32(0))

  /// Whether a host endpoint protects the interface.
  func protects(_ interface: InterfaceIndex) -> Bool { names[interface] != nil || names[Self.everyInterface] != nil }

  /// Places `endpoints`. Of several for one interface the first in order of name counts; written ones come before
  /// `automatic` ones.
  init(
    _ endpoints: some Collection<HostEndpoint>, automatic: some Sequence<HostEndpoint>,
    at interfaces: [HostInterface]
  ) {
    hasWritten = !endpoints.isEmpty
    for endpoint in endpoints.sorted(by: { $0.name < $1.name }) {
      let protected = Self.interfaces(of: endpoint, interfaces)
      if protected.isEmpty { problems.append(Self.absence(endpoint)) }
      for interface in protected {
        if let other = names[interface] {
          problems.append(Self.conflict(endpoint, other, interfaces.first { $0.index == interface }?.name))
        } else {
          names[interface] = endpoint.name
        }
      }
    }
    for endpoint in automatic {
      for interface in Self.interfaces(of: endpoint, interfaces) where names[interface] == nil {
        names[interface] = endpoint.name
      }
    }
  }

  private static func interfaces(of endpoint: HostEndpoint, _ all: [HostInterface]) -> [InterfaceIndex] {
    switch endpoint.interface {
    case HostEndpoint.everyInterface: return [everyInterface]
    case let name?: return all.filter { $0.name == name }.map(\.index)
    case nil:
      let expected = Set(endpoint.expectedAddresses)
      return all.filter { !expected.isDisjoint(with: $0.addresses) }.map(\.index)
    }
  }

  private static func absence(_ endpoint: HostEndpoint) -> DataPlaneProblem {
    let reason =
      endpoint.interface.map { "there is no interface \($0)" }
      ?? "no interface has any of the addresses \(endpoint.expectedAddresses.map(\.description).joined(separator: ", "))"
    return DataPlaneProblem(
      "host endpoint \(endpoint.name)",
      "\(reason) on this node, so that it protects nothing yet: correct it, or add what is missing")
  }

  private static func conflict(_ endpoint: HostEndpoint, _ other: String, _ interface: String?) -> DataPlaneProblem {
    let place = interface.map { "interface \($0)" } ?? "every interface"
    return DataPlaneProblem(
      "host endpoint \(endpoint.name)",
      "host endpoint \(other) is for \(place) already, and counts there: remove one of them, or give them different "
        + "interfaces")
  }
}
