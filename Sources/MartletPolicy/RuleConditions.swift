import MartletModel
import MartletNetworking

/// What one bit of a policy set stands for: a rule, or one of a few alternatives that a rule is made of, as a condition
/// on each dimension. `nil`: every class will do.
struct RuleConditions {
  var conditions: [Condition?] = Array(repeating: nil, count: Dimension.count)

  subscript(dimension: Dimension) -> Condition? { conditions[dimension.rawValue] }

  mutating func add(_ terms: [Condition.Term], to dimension: Dimension) {
    guard !terms.isEmpty else { return }
    conditions[dimension.rawValue, default: Condition(terms: [])].terms += terms
  }
}

extension [Condition?] {
  fileprivate subscript(index: Int, default value: Condition) -> Condition {
    get { self[index] ?? value }
    set { self[index] = newValue }
  }
}

/// Rules in terms of classes.
struct RuleExpander {
  /// Whether some network set has labels that match: only then a selector is worth an alternative.
  let selectsNetworkSets: (Selector) -> Bool

  /// Conditions of which `rule` matches whatever fulfils one. None: the rule matches nothing.
  ///
  /// An address can match a selector by whose it is or by the network set that it is in, and a port can match by number
  /// or by name; conditions on different dimensions cannot be alternatives, so each of these doubles what is returned.
  /// Rules that log get alternatives of which only one can be true, so that they log once.
  func alternatives(_ rule: PolicyRule) -> [RuleConditions] {
    guard !rule.matchesNothing else { return [] }
    let isExclusive = rule.action == .log
    let sources = sides(rule.source, .source, isExclusive)
    let destinations = sides(rule.destination, .destination, isExclusive)
    let base = protocols(rule)
    return sources.flatMap { source in
      destinations.compactMap { destination in combined(base, source, destination) }
    }
  }

  /// Families of addresses in which `rule` can match.
  static func families(_ rule: PolicyRule) -> Set<AddressFamily> {
    Set(
      AddressFamily.allCases.filter { family in
        !rule.matchesNothing && (rule.family ?? family) == family
          && [rule.source, rule.destination].allSatisfy { side in
            [side.prefixes, side.notPrefixes].allSatisfy { $0?.contains { $0.family == family } ?? true }
          }
      })
  }

  private func combined(_ base: PortSet, _ source: Side, _ destination: Side) -> RuleConditions? {
    var ports = base
    if source.namesPorts || destination.namesPorts { ports = ports.intersection(.withPorts(.destination)) }
    if let own = destination.ports { ports = ports.intersection(own) }
    guard !ports.isEmpty, source.ports?.isEmpty != true else { return nil }
    var result = RuleConditions()
    result.add(source.identity, to: .sourceIdentity)
    result.add(source.prefix, to: .sourcePrefix)
    result.add(source.tuple, to: .sourceTuple)
    result.add(destination.identity, to: .destinationIdentity)
    result.add(destination.prefix, to: .destinationPrefix)
    result.add(destination.tuple, to: .tuple)
    if ports != .all { result.add([Self.term(ports)], to: .port) }
    if let ports = source.ports, ports != .withPorts(.source) {
      // Class 0 of this dimension is that of protocols without ports, to which no rule with ports applies.
      result.add([.init(patterns: [.exact(.ports(ports))])], to: .sourcePort)
    }
    return result
  }

  /// In whichever way takes fewer stores.
  private static func term(_ ports: PortSet) -> Condition.Term {
    let others = PortSet.all.subtracting(ports)
    return others.count < ports.count
      ? .init(patterns: [.exact(.ports(others))], isNegated: true) : .init(patterns: [.exact(.ports(ports))])
  }

  /// What a rule says of protocols and of ICMP.
  private func protocols(_ rule: PolicyRule) -> PortSet {
    var ports = PortSet.all
    if let number = rule.protocol { ports = ports.intersection(.protocol(number)) }
    if let number = rule.notProtocol { ports = ports.subtracting(.protocol(number)) }
    if let message = rule.icmp { ports = ports.intersection(.icmp(message)) }
    if let message = rule.notICMP { ports = ports.subtracting(.icmp(message)) }
    return ports
  }

  // MARK: - Sides

  /// One side of one alternative.
  private struct Side {
    var identity: [Condition.Term] = []
    var prefix: [Condition.Term] = []
    var tuple: [Condition.Term] = []
    /// `nil`: not asked for by number.
    var ports: PortSet?
    var namesPorts = false
  }

  private func sides(_ entity: EntityMatch, _ direction: PortSide, _ isExclusive: Bool) -> [Side] {
    let base = common(entity, direction)
    return addressAlternatives(entity, base, isExclusive)
      .flatMap { portAlternatives(entity, direction, $0, isExclusive) }
  }

  /// What holds for all alternatives.
  private func common(_ entity: EntityMatch, _ direction: PortSide) -> Side {
    var side = Side(namesPorts: entity.ports != nil || entity.notPorts != nil)
    if let selector = entity.notSelector {
      side.identity.append(.init(patterns: [.selector(.endpoint, selector)], isNegated: true))
      side.prefix.append(.init(patterns: [.selector(.networkSet, selector)], isNegated: true))
    }
    if let nodes = entity.nodes { side.identity.append(.init(patterns: [.selector(.node, nodes)])) }
    if let prefixes = entity.prefixes { side.prefix.append(.init(patterns: prefixes.map { .exact(.prefix($0)) })) }
    if let prefixes = entity.notPrefixes, !prefixes.isEmpty {
      side.prefix.append(.init(patterns: prefixes.map { .exact(.prefix($0)) }, isNegated: true))
    }
    if let service = entity.service {
      let term = Condition.Term(patterns: [.exact(.service(service))])
      if direction == .source { side.prefix.append(term) } else { side.tuple.append(term) }
    }
    if let ports = entity.notPorts {
      if !ports.ranges.isEmpty {
        side.ports = PortSet.withPorts(direction).subtracting(.ports(direction, ports.ranges))
      }
      if !ports.names.isEmpty { side.tuple.append(.init(patterns: ports.names, isNegated: true)) }
    }
    return side
  }

  private func addressAlternatives(_ entity: EntityMatch, _ base: Side, _ isExclusive: Bool) -> [Side] {
    guard let selector = entity.selector else { return [base] }
    var byEndpoint = base
    byEndpoint.identity.append(.init(patterns: [.selector(.endpoint, selector)]))
    guard selectsNetworkSets(selector) else { return [byEndpoint] }
    var bySet = base
    bySet.prefix.append(.init(patterns: [.selector(.networkSet, selector)]))
    if isExclusive { bySet.identity.append(.init(patterns: [.selector(.endpoint, selector)], isNegated: true)) }
    return [byEndpoint, bySet]
  }

  private func portAlternatives(
    _ entity: EntityMatch, _ direction: PortSide, _ base: Side, _ isExclusive: Bool
  ) -> [Side] {
    guard let ports = entity.ports else { return [base] }
    let numbers = PortSet.ports(direction, ports.ranges)
    var (byNumber, byName) = (base, base)
    byNumber.ports = (base.ports ?? .withPorts(direction)).intersection(numbers)
    byName.tuple.append(.init(patterns: ports.names))
    if isExclusive { byName.ports = (base.ports ?? .withPorts(direction)).subtracting(numbers) }
    return (ports.ranges.isEmpty ? [] : [byNumber]) + (ports.names.isEmpty ? [] : [byName])
  }
}

extension [EntityMatch.PortMatch] {
  fileprivate var ranges: [PortRange] {
    compactMap { if case .range(let range) = $0 { range } else { nil } }
  }

  fileprivate var names: [Pattern] {
    compactMap { if case .named(let name) = $0 { .exact(.portName(name)) } else { nil } }
  }
}
