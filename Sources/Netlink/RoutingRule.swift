import MartletNetworking

/// A policy routing rule: which packets look up their route in which table.
///
/// Rules are tried in the order of their priority until a table has a route.
public struct RoutingRule: Hashable, Sendable {
  /// The family that the rule is for.
  public var family: AddressFamily
  /// Its place: 0 is tried first. The kernel's own are 0, 32766 and 32767.
  public var priority: UInt32
  /// Where to look up what it selects.
  public var table: RoutingTable
  /// Selects by source address.
  public var source: IPPrefix?
  /// Selects by destination address.
  public var destination: IPPrefix?
  /// Selects packets whose mark has this value in the bits of ``markMask``.
  public var mark: UInt32?
  /// The bits of the mark that count.
  public var markMask: UInt32
  /// Selects packets that came in through the interface of this name; `lo` are those of the host.
  public var inputInterface: String?
  /// Selects packets of sockets that are bound to the interface of this name.
  public var outputInterface: String?
  /// Whether it applies to what it does *not* select.
  public var isInverted: Bool

  /// A rule that sends what it selects to `table`.
  public init(
    _ family: AddressFamily, priority: UInt32, table: RoutingTable, source: IPPrefix? = nil,
    destination: IPPrefix? = nil, mark: UInt32? = nil, markMask: UInt32 = .max, inputInterface: String? = nil,
    outputInterface: String? = nil, isInverted: Bool = false
  ) {
    self.family = family
    self.priority = priority
    self.table = table
    self.source = source
    self.destination = destination
    self.mark = mark
    self.markMask = markMask
    self.inputInterface = inputInterface
    self.outputInterface = outputInterface
    self.isInverted = isInverted
  }
}

/// `FRA_…` (`linux/fib_rules.h`).
private enum RuleAttribute {
  static let destination: UInt16 = 1
  static let source: UInt16 = 2
  static let inputInterface: UInt16 = 3
  static let priority: UInt16 = 6
  static let mark: UInt16 = 10
  static let table: UInt16 = 15
  static let markMask: UInt16 = 16
  static let outputInterface: UInt16 = 17
}

/// `struct fib_rule_hdr` (`linux/fib_rules.h`).
private enum RuleHeader {
  static let size = 12
  static let toTable: UInt8 = 1  // FR_ACT_TO_TBL
  static let inverted: UInt32 = 2  // FIB_RULE_INVERT

  static func encode(
    family: AddressFamily?, destinationLength: Int = 0, sourceLength: Int = 0, table: RoutingTable = RoutingTable(0),
    action: UInt8 = 0, flags: UInt32 = 0, into request: inout MessageBuilder
  ) {
    request.append(family.wire)
    request.append(UInt8(destinationLength))
    request.append(UInt8(sourceLength))
    request.append(UInt8(0))  // type of service
    request.append(table.headerByte)
    request.append(UInt16(0))  // reserved
    request.append(action)
    request.append(flags)
  }
}

extension RoutingRule {
  /// The rule that a message describes; `nil` if its action is not to look up a table.
  init?(_ message: Message) {
    let payload = message.payload
    guard let family = payload.load(UInt8.self).flatMap(AddressFamily.init(wire:)),
      let destinationLength = payload.load(UInt8.self, at: 1), let sourceLength = payload.load(UInt8.self, at: 2),
      let table = payload.load(UInt8.self, at: 4), payload.load(UInt8.self, at: 7) == RuleHeader.toTable,
      let flags = payload.load(UInt32.self, at: 8)
    else { return nil }
    self.init(
      family, priority: 0, table: RoutingTable(UInt32(table)), isInverted: flags & RuleHeader.inverted != 0)
    for attribute in message.attributes(after: RuleHeader.size) {
      switch attribute.type {
      case RuleAttribute.destination:
        destination = IPPrefix(wire: attribute.value, length: destinationLength, family: family)
      case RuleAttribute.source: source = IPPrefix(wire: attribute.value, length: sourceLength, family: family)
      case RuleAttribute.priority: priority = attribute.uint32 ?? 0
      case RuleAttribute.table: self.table = RoutingTable(attribute.uint32 ?? 0)
      case RuleAttribute.mark: mark = attribute.uint32
      case RuleAttribute.markMask: markMask = attribute.uint32 ?? .max
      case RuleAttribute.inputInterface: inputInterface = attribute.text
      case RuleAttribute.outputInterface: outputInterface = attribute.text
      default: break
      }
    }
    // The kernel reports the mask of a rule that selects marks by it even if the value is 0 and left out.
    if mark == nil, markMask != .max { mark = 0 }
  }

  func encode(into request: inout MessageBuilder) {
    RuleHeader.encode(
      family: family, destinationLength: destination?.length ?? 0, sourceLength: source?.length ?? 0, table: table,
      action: RuleHeader.toTable, flags: isInverted ? RuleHeader.inverted : 0, into: &request)
    if let destination { request.attribute(RuleAttribute.destination, bytes: destination.address.bytes) }
    if let source { request.attribute(RuleAttribute.source, bytes: source.address.bytes) }
    request.attribute(RuleAttribute.priority, priority)
    request.attribute(RuleAttribute.table, table.rawValue)
    if let mark {
      request.attribute(RuleAttribute.mark, mark)
      request.attribute(RuleAttribute.markMask, markMask)
    }
    if let inputInterface { request.attribute(RuleAttribute.inputInterface, string: inputInterface) }
    if let outputInterface { request.attribute(RuleAttribute.outputInterface, string: outputInterface) }
  }

  /// Why the kernel should not be asked for such a rule; `nil` if it should.
  fileprivate var objection: String? {
    if let prefix = [source, destination].compactMap(\.self).first(where: { $0.family != family }) {
      return "\(prefix) is not \(family)"
    }
    return [inputInterface, outputInterface].lazy.compactMap(\.self).compactMap(InterfaceName.objection).first
  }
}

extension RoutingRule: CustomStringConvertible {
  /// The parts that tell it from others: `IPv4 priority 100 table 200`.
  public var description: String { "\(family) priority \(priority) table \(table)" }
}

extension NetlinkSocket {
  /// The rules that lead to a table, in the order in which they are tried. Corresponds to `RTM_GETRULE` as a dump.
  public func rules(family: AddressFamily) throws(NetlinkError) -> [RoutingRule] {
    var request = MessageBuilder(.getRule)
    RuleHeader.encode(family: family, into: &request)
    return try dump(request, NetlinkTask("list", "\(family) rules"), RoutingRule.init)
      .sorted { $0.priority < $1.priority }
  }

  /// Adds a rule. Throws `exists` if there is just the same one. Corresponds to `RTM_NEWRULE` with
  /// `NLM_F_CREATE | NLM_F_EXCL`.
  public func addRule(_ rule: RoutingRule) throws(NetlinkError) {
    try change(.newRule, rule, "add rule", flags: [.create, .exclusive])
  }

  /// Deletes a rule. Throws `notFound` if there is none like it. Corresponds to `RTM_DELRULE`.
  public func deleteRule(_ rule: RoutingRule) throws(NetlinkError) {
    try change(.deleteRule, rule, "delete rule")
  }

  private func change(
    _ type: MessageType, _ rule: RoutingRule, _ operation: String, flags: MessageFlags = []
  ) throws(NetlinkError) {
    let task = NetlinkTask(operation, "\(rule)")
    if let objection = rule.objection { throw .refused(task, hint: objection) }
    var request = MessageBuilder(type)
    rule.encode(into: &request)
    try change(request, flags: flags, task)
  }
}
