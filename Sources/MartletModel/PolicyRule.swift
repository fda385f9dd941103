import MartletNetworking

/// One rule of a policy. It matches a packet if every field that says something does.
public struct PolicyRule: Hashable, Sendable {
  /// What to do with a packet that matches.
  public var action: Action
  /// The family of addresses it is for. `nil`: both.
  public var family: AddressFamily?
  /// The protocol. `nil`: every protocol.
  public var `protocol`: L4Protocol?
  /// A protocol that does not match.
  public var notProtocol: L4Protocol?
  /// The ICMP message, of ``protocol``.
  public var icmp: ICMPMatch?
  /// An ICMP message that does not match.
  public var notICMP: ICMPMatch?
  /// The sender.
  public var source: EntityMatch
  /// The receiver, after a service's address has been replaced, but for policies before that.
  public var destination: EntityMatch
  /// Whether the rule matches nothing: part of it means nothing here, and to leave that out would let too much match.
  public var matchesNothing: Bool

  /// A rule with these properties.
  public init(
    _ action: Action, family: AddressFamily? = nil, protocol: L4Protocol? = nil, notProtocol: L4Protocol? = nil,
    icmp: ICMPMatch? = nil, notICMP: ICMPMatch? = nil, source: EntityMatch = EntityMatch(),
    destination: EntityMatch = EntityMatch(), matchesNothing: Bool = false
  ) {
    self.action = action
    self.family = family
    self.protocol = `protocol`
    self.notProtocol = notProtocol
    self.icmp = icmp
    self.notICMP = notICMP
    self.source = source
    self.destination = destination
    self.matchesNothing = matchesNothing
  }

  /// What a rule does with packets that match it.
  public enum Action: String, Sendable, CaseIterable {
    /// Lets them through; nothing else is asked in this direction.
    case allow = "Allow"
    /// Drops them.
    case deny = "Deny"
    /// Leaves the tier: the next decides; in a profile, it denies.
    case pass = "Pass"
    /// Records them and goes on with the next rule.
    case log = "Log"
  }

  /// ICMP messages of one type.
  public struct ICMPMatch: Hashable, Sendable {
    /// The type.
    public var type: UInt8
    /// The code. `nil`: every code.
    public var code: UInt8?

    /// Messages of `type`, of one `code` or of all.
    public init(type: UInt8, code: UInt8? = nil) {
      self.type = type
      self.code = code
    }
  }
}

/// One side of a rule: who sends or who receives. Every field that says something has to hold.
public struct EntityMatch: Hashable, Sendable {
  /// Addresses of workloads, host endpoints and network sets whose labels match. `nil`: every address.
  public var selector: Selector?
  /// No address of a workload, host endpoint or network set whose labels match this; addresses of nobody do match.
  public var notSelector: Selector?
  /// Addresses of nodes whose labels match. `nil`: every address.
  public var nodes: Selector?
  /// The address is in one of these. `nil`: every address; empty: none.
  public var prefixes: [IPPrefix]?
  /// The address is in none of these. A list without any prefix of a packet's family matches no packet of it; `nil`
  /// matches all.
  public var notPrefixes: [IPPrefix]?
  /// The port is one of these. `nil`: every port, and protocols without.
  public var ports: [PortMatch]?
  /// The port is none of these.
  public var notPorts: [PortMatch]?
  /// Endpoints of a service: of a destination the protocol and port count as well. `nil`: every address.
  public var service: NamespacedName?

  /// A match of everything but for what is said.
  public init(
    selector: Selector? = nil, notSelector: Selector? = nil, nodes: Selector? = nil, prefixes: [IPPrefix]? = nil,
    notPrefixes: [IPPrefix]? = nil, ports: [PortMatch]? = nil, notPorts: [PortMatch]? = nil,
    service: NamespacedName? = nil
  ) {
    self.selector = selector
    self.notSelector = notSelector
    self.nodes = nodes
    self.prefixes = prefixes
    self.notPrefixes = notPrefixes
    self.ports = ports
    self.notPorts = notPorts
    self.service = service
  }

  /// Ports by number or by name.
  public enum PortMatch: Hashable, Sendable {
    /// A range of numbers.
    case range(PortRange)
    /// What the workload or host endpoint that has the address calls by this name, with the packet's protocol.
    case named(String)
  }
}
