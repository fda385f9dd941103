import MartletNetworking

extension NetlinkSocket {
  /// The addresses of an interface or of all, of one family or of both.
  ///
  /// Throws `notFound` if there is no such interface. Corresponds to `RTM_GETADDR` as a dump.
  public func addresses(
    of interface: InterfaceIndex? = nil, family: AddressFamily? = nil
  ) throws(NetlinkError) -> [InterfaceAddress] {
    var request = MessageBuilder(.getAddress)
    InterfaceAddress.encodeHeader(family: family, interface: interface, into: &request)
    let object = interface.map { "addresses of link \($0)" } ?? "addresses"
    return try dump(request, NetlinkTask("list", object), InterfaceAddress.init)
  }

  /// Gives an interface an address.
  ///
  /// Throws `exists` if it has it already. The scope is as given: the kernel does not derive it from the address. An IPv6
  /// address is tentative for about a second unless it has ``InterfaceAddress/Flags-swift.struct/noDAD``. Corresponds to
  /// `RTM_NEWADDR` with `NLM_F_CREATE | NLM_F_EXCL`.
  public func addAddress(_ address: InterfaceAddress) throws(NetlinkError) {
    try change(.newAddress, address, "add address", flags: [.create, .exclusive])
  }

  /// Gives an interface an address, or changes the flags of one that it has.
  ///
  /// Corresponds to `RTM_NEWADDR` with `NLM_F_CREATE | NLM_F_REPLACE`.
  public func replaceAddress(_ address: InterfaceAddress) throws(NetlinkError) {
    try change(.newAddress, address, "replace address", flags: [.create, .replace])
  }

  /// Takes an address from an interface. Throws `notFound` if it has no such address. Corresponds to `RTM_DELADDR`.
  public func deleteAddress(_ address: InterfaceAddress) throws(NetlinkError) {
    try change(.deleteAddress, address, "delete address")
  }

  private func change(
    _ type: MessageType, _ address: InterfaceAddress, _ operation: String, flags: MessageFlags = []
  ) throws(NetlinkError) {
    let task = NetlinkTask(operation, "\(address) of link \(address.interface)")
    let width = address.address.family.bitWidth
    guard (0...width).contains(address.prefixLength) else {
      throw .refused(task, hint: "the prefix length of \(address.address.family) is between 0 and \(width)")
    }
    guard address.peer.map({ $0.family == address.address.family }) ?? true else {
      throw .refused(task, hint: "the peer is of another address family")
    }
    var request = MessageBuilder(type)
    address.encode(into: &request)
    try change(request, flags: flags, task)
  }
}
