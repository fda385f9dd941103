import MartletModel
import MartletNetworking

/// Something that a packet's address, port or both have, and that rules can ask for.
enum Attribute: Hashable {
  /// Labels of something that has the address.
  case labels(Labelled, [String: String])
  /// A range of addresses that a rule names and that contains the address.
  case prefix(IPPrefix)
  /// A service of which the address is an endpoint.
  case service(NamespacedName)
  /// A name of the port.
  case portName(String)
  /// A set of ports that contains the port.
  case ports(PortSet)

  /// What labels are of. Selectors look at one kind at a time.
  enum Labelled: Hashable, CaseIterable {
    /// Workloads and host endpoints.
    case endpoint
    case node
    case networkSet
  }
}

/// A question to attributes.
enum Pattern: Hashable {
  /// Labels that match.
  case selector(Attribute.Labelled, Selector)
  /// This one.
  case exact(Attribute)

  func matches(_ attribute: Attribute) -> Bool {
    switch (self, attribute) {
    case (.selector(let kind, let selector), .labels(let labelled, let labels)):
      kind == labelled && selector.matches(labels)
    case (.exact(let expected), _): expected == attribute
    default: false
    }
  }
}

extension Selector {
  /// Labels of which whatever matches has one at least. `nil`: there are no such labels.
  var necessaryLabels: [(key: String, value: String)]? {
    switch self {
    case .equals(let key, let value): return [(key, value)]
    case .isIn(let key, let values): return values.map { (key, $0) }
    case .and(let selectors): return selectors.compactMap(\.necessaryLabels).min { $0.count < $1.count }
    case .or(let selectors):
      var labels: [(key: String, value: String)] = []
      for selector in selectors {
        guard let necessary = selector.necessaryLabels else { return nil }
        labels += necessary
      }
      return labels
    case .not(.all): return []
    default: return nil
    }
  }
}
