/// `nlmsg_type`: what a message says (`linux/netlink.h`, `linux/rtnetlink.h`).
struct MessageType: RawRepresentable, Hashable, Sendable {
  let rawValue: UInt16

  static let error = MessageType(rawValue: 2)  // NLMSG_ERROR; with number 0 an acknowledgement
  static let done = MessageType(rawValue: 3)  // NLMSG_DONE
  static let overrun = MessageType(rawValue: 4)  // NLMSG_OVERRUN

  static let newLink = MessageType(rawValue: 16)  // RTM_NEWLINK
  static let deleteLink = MessageType(rawValue: 17)  // RTM_DELLINK
  static let getLink = MessageType(rawValue: 18)  // RTM_GETLINK
  static let newAddress = MessageType(rawValue: 20)  // RTM_NEWADDR
  static let deleteAddress = MessageType(rawValue: 21)  // RTM_DELADDR
  static let getAddress = MessageType(rawValue: 22)  // RTM_GETADDR
  static let newRoute = MessageType(rawValue: 24)  // RTM_NEWROUTE
  static let deleteRoute = MessageType(rawValue: 25)  // RTM_DELROUTE
  static let getRoute = MessageType(rawValue: 26)  // RTM_GETROUTE
  static let newNeighbour = MessageType(rawValue: 28)  // RTM_NEWNEIGH
  static let deleteNeighbour = MessageType(rawValue: 29)  // RTM_DELNEIGH
  static let getNeighbour = MessageType(rawValue: 30)  // RTM_GETNEIGH
  static let newRule = MessageType(rawValue: 32)  // RTM_NEWRULE
  static let deleteRule = MessageType(rawValue: 33)  // RTM_DELRULE
  static let getRule = MessageType(rawValue: 34)  // RTM_GETRULE
}

/// `nlmsg_flags` (`linux/netlink.h`). The bits above the first byte depend on the kind of message.
struct MessageFlags: OptionSet, Sendable {
  let rawValue: UInt16

  static let request = MessageFlags(rawValue: 0x01)  // NLM_F_REQUEST
  static let multipart = MessageFlags(rawValue: 0x02)  // NLM_F_MULTI
  static let acknowledge = MessageFlags(rawValue: 0x04)  // NLM_F_ACK
  static let dumpInterrupted = MessageFlags(rawValue: 0x10)  // NLM_F_DUMP_INTR

  /// In a get request: everything that matches (`NLM_F_DUMP`).
  static let dump = MessageFlags(rawValue: 0x300)

  /// In a new request: replace what is there (`NLM_F_REPLACE`).
  static let replace = MessageFlags(rawValue: 0x100)
  /// In a new request: fail if it is there (`NLM_F_EXCL`).
  static let exclusive = MessageFlags(rawValue: 0x200)
  /// In a new request: create what is not there (`NLM_F_CREATE`).
  static let create = MessageFlags(rawValue: 0x400)

  /// In an error or done message: no copy of the request follows, only its header (`NLM_F_CAPPED`).
  static let capped = MessageFlags(rawValue: 0x100)
  /// In an error or done message: attributes of the extended acknowledgement follow (`NLM_F_ACK_TLVS`).
  static let extendedAcknowledgement = MessageFlags(rawValue: 0x200)
}
