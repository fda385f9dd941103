import MartletNetworking

// MARK: - Reading

extension NetlinkSocket {
  /// All links of the namespace, in the order of their index.
  ///
  /// Corresponds to `RTM_GETLINK` as a dump. Counters are left out, which makes it several times faster.
  public func links() throws(NetlinkError) -> [NetworkLink] {
    var request = MessageBuilder(.getLink)
    LinkHeader().encode(into: &request)
    request.skipCounters()
    return try dump(request, NetlinkTask("list", "links"), NetworkLink.init).sorted { $0.index < $1.index }
  }

  /// The link with the given name or alternative name, or `nil` if there is none.
  ///
  /// Corresponds to `RTM_GETLINK` with `IFLA_IFNAME`; names longer than 15 bytes need Linux 5.5.
  public func link(named name: String) throws(NetlinkError) -> NetworkLink? {
    let attribute =
      name.utf8.count > InterfaceName.maximumLength ? LinkAttribute.alternativeName : LinkAttribute.name
    // The kernel answers for an empty name and for one longer than alternative names can be with an error.
    guard (1..<128).contains(name.utf8.count), !name.utf8.contains(0) else { return nil }
    return try link(NetlinkTask("look up link", "'\(name)'"), LinkHeader()) {
      $0.attribute(attribute, string: name)
    }
  }

  /// The link with the given index, or `nil` if there is none.
  ///
  /// Corresponds to `RTM_GETLINK` with an interface index.
  public func link(_ index: InterfaceIndex) throws(NetlinkError) -> NetworkLink? {
    guard index.rawValue != 0 else { return nil }
    return try link(NetlinkTask("look up link", "\(index)"), LinkHeader(index: index)) { _ in }
  }

  private func link(
    _ task: NetlinkTask, _ header: LinkHeader, _ selection: (inout MessageBuilder) -> Void
  ) throws(NetlinkError) -> NetworkLink? {
    var request = MessageBuilder(.getLink)
    header.encode(into: &request)
    selection(&request)
    request.skipCounters()
    return try absentIsNil { () throws(NetlinkError) in try get(request, task, NetworkLink.init) }
  }

  /// What `body` returns, or `nil` if the kernel says that there is no such thing.
  func absentIsNil<T>(_ body: () throws(NetlinkError) -> T?) throws(NetlinkError) -> T? {
    do {
      return try body()
    } catch {
      if error.kind == .notFound { return nil }
      throw error
    }
  }
}

// MARK: - Changing

extension NetlinkSocket {
  /// Creates a link and returns it as the kernel made it.
  ///
  /// Throws ``NetlinkError/Kind-swift.struct/exists`` if the name is taken, and `unsupported` if the kernel has no
  /// driver of the kind. Corresponds to `RTM_NEWLINK` with `NLM_F_CREATE | NLM_F_EXCL`.
  @discardableResult
  public func createLink(_ specification: LinkSpecification) throws(NetlinkError) -> NetworkLink {
    let task = NetlinkTask("create \(specification.linkKind) link", "'\(specification.name)'")
    if let objection = specification.objection { throw .refused(task, hint: objection) }
    var request = MessageBuilder(.newLink)
    specification.encode(into: &request)
    try change(request, flags: [.create, .exclusive], task)
    guard let link = try link(named: specification.name) else {
      throw NetlinkError(
        .notFound, operation: task.operation, object: task.object, hint: "it was removed or renamed right away")
    }
    return link
  }

  /// Deletes a link, and with it its addresses and routes; of a veth pair, both ends.
  ///
  /// Throws `notFound` if there is no such link. Corresponds to `RTM_DELLINK`.
  public func deleteLink(_ index: InterfaceIndex) throws(NetlinkError) {
    let task = NetlinkTask("delete link", "\(index)")
    try requireInterface(index, task)
    var request = MessageBuilder(.deleteLink)
    LinkHeader(index: index).encode(into: &request)
    try change(request, task)
  }

  /// Sets a link up. Corresponds to `RTM_NEWLINK` with `IFF_UP`.
  public func setUp(_ index: InterfaceIndex) throws(NetlinkError) {
    try change(index, "set up link", LinkHeader(index: index, flags: .up, changed: .up))
  }

  /// Sets a link down; its IPv4 routes and its IPv6 addresses go. Corresponds to `RTM_NEWLINK` without `IFF_UP`.
  public func setDown(_ index: InterfaceIndex) throws(NetlinkError) {
    try change(index, "set down link", LinkHeader(index: index, flags: [], changed: .up))
  }

  /// Sets the largest packet of a link, in bytes. Corresponds to `RTM_NEWLINK` with `IFLA_MTU`.
  public func setMTU(_ mtu: Int, of index: InterfaceIndex) throws(NetlinkError) {
    guard (1...Int(Int32.max)).contains(mtu) else {
      throw .refused(NetlinkTask("set MTU of link", "\(index)"), hint: "\(mtu) is not a positive number of bytes")
    }
    try change(index, "set MTU of link") { $0.attribute(LinkAttribute.mtu, UInt32(mtu)) }
  }

  /// Sets the hardware address of a link. Corresponds to `RTM_NEWLINK` with `IFLA_ADDRESS`.
  public func setMACAddress(_ address: MACAddress, of index: InterfaceIndex) throws(NetlinkError) {
    try change(index, "set MAC address of link") { $0.attribute(LinkAttribute.address, bytes: address.bytes) }
  }

  /// Makes a link a port of the bridge, bond or VRF `master`, or of none. Corresponds to `RTM_NEWLINK` with
  /// `IFLA_MASTER`.
  public func setMaster(_ master: InterfaceIndex?, of index: InterfaceIndex) throws(NetlinkError) {
    try change(index, "set master of link") { $0.attribute(LinkAttribute.master, master?.rawValue ?? 0) }
  }

  /// Moves a link to the network namespace of which `namespace` is an open descriptor. It arrives there set down and
  /// without addresses, and may get another index. Corresponds to `RTM_NEWLINK` with `IFLA_NET_NS_FD`.
  public func moveLink(_ index: InterfaceIndex, toNamespace namespace: Int32) throws(NetlinkError) {
    try change(index, "move link") { $0.attribute(LinkAttribute.namespaceDescriptor, namespace) }
  }

  private func change(
    _ index: InterfaceIndex, _ operation: String, _ header: LinkHeader? = nil,
    _ settings: (inout MessageBuilder) -> Void = { _ in }
  ) throws(NetlinkError) {
    let task = NetlinkTask(operation, "\(index)")
    try requireInterface(index, task)
    var request = MessageBuilder(.newLink)
    (header ?? LinkHeader(index: index)).encode(into: &request)
    settings(&request)
    try change(request, task)
  }

  /// Index 0 selects by name or by group, which is never what the caller of a method with an index means.
  private func requireInterface(_ index: InterfaceIndex, _ task: NetlinkTask) throws(NetlinkError) {
    if index.rawValue == 0 { throw .refused(task, hint: "0 is no interface") }
  }
}

extension MessageBuilder {
  /// Asks for links without their counters (`RTEXT_FILTER_SKIP_STATS`), which are the larger part of the answer.
  fileprivate mutating func skipCounters() {
    attribute(LinkAttribute.extendedMask, UInt32(1 << 3))
  }
}
