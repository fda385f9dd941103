import MartletModel
import MartletNetworking

/// Whose addresses selectors match.
enum EntityName: Hashable {
  case workload(NamespacedName)
  case hostEndpoint(String)
  case node(String)
}

/// What rules can know of something with addresses.
struct Entity: Equatable {
  var kind: Attribute.Labelled
  var labels: [String: String]
  var addresses: [IPAddress]
  var ports: [Workload.Port]

  /// The ports with names at all addresses, by name.
  fileprivate var namedPorts: [String: [PolicyTuple: Int]] {
    var result: [String: [PolicyTuple: Int]] = [:]
    for port in ports {
      for address in addresses {
        let tuple = PolicyTuple(address: address, protocol: port.protocol, port: port.port)
        result[port.name, default: [:]][tuple] = 1
      }
    }
    return result
  }
}

extension PolicyTable {
  /// Enters what is known of something now; `nil`: it is gone.
  func set(_ name: EntityName, _ new: Entity?) {
    let old = entities[name]
    guard old != new else { return }
    entities[name] = new
    setLabels(old, new)
    setPorts(old, new)
  }

  private func setLabels(_ old: Entity?, _ new: Entity?) {
    let space = spaces[.identity]
    let oldNumber = old.flatMap { space.index.number(of: Attribute.labels($0.kind, $0.labels)) }
    let newNumber = new.map { space.retain(.labels($0.kind, $0.labels)).number }
    var changes: [IPAddress: [Int: Int]] = [:]
    for address in Set(old?.addresses ?? []) {
      if let oldNumber { changes[address, default: [:]][oldNumber, default: 0] -= 1 }
    }
    for address in Set(new?.addresses ?? []) {
      if let newNumber { changes[address, default: [:]][newNumber, default: 0] += 1 }
    }
    identities.change(changes.filter { $0.value.contains { $0.value != 0 } })
    if let oldNumber { space.release(attribute: oldNumber) }
  }

  private func setPorts(_ old: Entity?, _ new: Entity?) {
    let (oldPorts, newPorts) = (old?.namedPorts ?? [:], new?.namedPorts ?? [:])
    for name in Set(oldPorts.keys).union(newPorts.keys) {
      interests.change(
        .portName(name), tuples: (newPorts[name] ?? [:]).subtracting(oldPorts[name] ?? [:]))
    }
  }

  // MARK: - Services

  /// Enters what a slice is now.
  func renew(slice new: EndpointSlice?, was old: EndpointSlice?) {
    for service in Set([old?.service, new?.service].compactMap(\.self)) {
      let (before, after) = ([old, new].map { $0?.service == service ? $0 : nil }).pair
      interests.change(
        .service(service), tuples: (after?.tuples ?? [:]).subtracting(before?.tuples ?? [:]),
        addresses: (after?.prefixes ?? [:]).subtracting(before?.prefixes ?? [:]))
    }
  }

  // MARK: - Network sets

  /// Enters what a network set is now, or with which labels: `old` has them as they are in the tables.
  func renew(networkSet name: NamespacedName, was old: NetworkSet?) {
    let space = spaces[.prefix]
    let new = state.networkSets[name]
    let oldNumber = networkSetLabels[name]
    let retained = new.map { space.retain(.labels(.networkSet, state.labels(of: $0))) }
    networkSetLabels[name] = retained?.number
    reexpand(retained?.revived ?? [])
    var changes: [IPPrefix: [Int: Int]] = [:]
    if let oldNumber {
      for prefix in Set(old?.prefixes ?? []) { changes[prefix, default: [:]][oldNumber, default: 0] -= 1 }
    }
    if let number = retained?.number {
      for prefix in Set(new?.prefixes ?? []) { changes[prefix, default: [:]][number, default: 0] += 1 }
    }
    prefixes.change(changes.filter { $0.value.contains { $0.value != 0 } })
    if let oldNumber { space.release(attribute: oldNumber) }
  }

  /// Gives rules one alternative more, as a network set matches their selectors now. They keep it when none does any
  /// longer: then it matches nothing.
  private func reexpand(_ patterns: [Int]) {
    for rule in book.outdated(patterns) {
      book.outdate(rule)
      sets.update(ruleOf: rule)
    }
  }
}

extension [PolicyTuple: Int] {
  fileprivate func subtracting(_ other: Self) -> Self { merging(other.mapValues { -$0 }, uniquingKeysWith: +) }
}

extension [IPPrefix: Int] {
  fileprivate func subtracting(_ other: Self) -> Self { merging(other.mapValues { -$0 }, uniquingKeysWith: +) }
}

extension [EndpointSlice?] {
  fileprivate var pair: (EndpointSlice?, EndpointSlice?) { (self[0], self[1]) }
}

extension EndpointSlice {
  /// Addresses of the slice's own family: others are mistakes.
  private var addresses: [IPAddress] { endpoints.map(\.address).filter { $0.family == family } }

  fileprivate var tuples: [PolicyTuple: Int] {
    var result: [PolicyTuple: Int] = [:]
    for address in addresses {
      for port in ports {
        result[PolicyTuple(address: address, protocol: port.protocol, port: port.port), default: 0] += 1
      }
    }
    return result
  }

  fileprivate var prefixes: [IPPrefix: Int] {
    addresses.reduce(into: [:]) { $0[IPPrefix($1), default: 0] += 1 }
  }
}
