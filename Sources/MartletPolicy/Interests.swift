import MartletModel
import MartletNetworking

/// What is entered in the maps for the sake of rules alone: ranges of addresses and sets of ports that rules name, the
/// endpoints of services and the ports whose names they ask for.
final class Interests {
  private let spaces: ClassSpaces
  private let prefixes: PrefixClassTable
  private let ports: [SpaceKind: PortClassTable]
  private let tuples: HashClassTable<PolicyTuple>
  /// Everything that has a name, asked for or not.
  private var named: [Attribute: [PolicyTuple: Int]] = [:]
  private var addresses: [Attribute: [IPPrefix: Int]] = [:]
  /// The number of each attribute that is asked for.
  private var asked: [SpaceKind: [Attribute: Int]] = [:]

  init(
    spaces: ClassSpaces, prefixes: PrefixClassTable, ports: [SpaceKind: PortClassTable],
    tuples: HashClassTable<PolicyTuple>
  ) {
    self.spaces = spaces
    self.prefixes = prefixes
    self.ports = ports
    self.tuples = tuples
  }

  // MARK: - Rules

  /// A rule asks for `pattern`, which none has before.
  func begin(_ pattern: Pattern, in kind: SpaceKind) {
    guard case .exact(let attribute) = pattern else { return }
    let number = spaces[kind].retain(attribute).number
    asked[kind, default: [:]][attribute] = number
    change(attribute, number, in: kind, by: 1)
  }

  /// No rule asks for `pattern` any more.
  func end(_ pattern: Pattern, in kind: SpaceKind) {
    guard case .exact(let attribute) = pattern, let number = asked[kind]?.removeValue(forKey: attribute) else { return }
    change(attribute, number, in: kind, by: -1)
    spaces[kind].release(attribute: number)
  }

  private func change(_ attribute: Attribute, _ number: Int, in kind: SpaceKind, by difference: Int) {
    switch (attribute, kind) {
    case (.ports(let set), _):
      if difference > 0 { ports[kind]?.insert(number, set) } else { ports[kind]?.remove(number, set) }
    case (.prefix(let prefix), _):
      prefixes.change([prefix: [number: difference]])
    case (_, .prefix):
      prefixes.change((addresses[attribute] ?? [:]).mapValues { _ in [number: difference] })
    default:
      tuples.change((named[attribute] ?? [:]).mapValues { _ in [number: difference] })
    }
  }

  // MARK: - Objects

  /// Adds to, or takes from, how often `tuples` and `addresses` are what `attribute` says.
  func change(
    _ attribute: Attribute, tuples differences: [PolicyTuple: Int], addresses addressDifferences: [IPPrefix: Int] = [:]
  ) {
    let movedTuples = Self.merge(differences, into: &named[attribute, default: [:]])
    if let number = asked[.tuple]?[attribute] { tuples.change(movedTuples.mapValues { [number: $0] }) }
    if named[attribute]?.isEmpty == true { named[attribute] = nil }
    let movedAddresses = Self.merge(addressDifferences, into: &addresses[attribute, default: [:]])
    if let number = asked[.prefix]?[attribute] { prefixes.change(movedAddresses.mapValues { [number: $0] }) }
    if addresses[attribute]?.isEmpty == true { addresses[attribute] = nil }
  }

  /// Counts, and returns what came (1) and went (-1) by that.
  private static func merge<Key>(_ differences: [Key: Int], into counts: inout [Key: Int]) -> [Key: Int] {
    var moved: [Key: Int] = [:]
    for (key, difference) in differences where difference != 0 {
      let (before, after) = (counts[key] ?? 0, (counts[key] ?? 0) + difference)
      counts[key] = after == 0 ? nil : after
      if before == 0 { moved[key] = 1 }
      if after == 0 { moved[key] = -1 }
    }
    return moved
  }
}
