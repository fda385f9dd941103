/// A change that ``NetlinkMonitor`` reports.
public enum NetlinkEvent: Hashable, Sendable {
  /// A link was created, or something about it changed; its state as a whole.
  case linkChanged(NetworkLink)
  /// A link was deleted, or moved to another network namespace; its last state.
  case linkRemoved(NetworkLink)
  /// An interface has an address, or its flags changed: an IPv6 address is reported again when it ceases to be tentative.
  case addressAdded(InterfaceAddress)
  /// An interface no longer has an address.
  case addressRemoved(InterfaceAddress)
  /// A route was added or replaced.
  case routeChanged(Route)
  /// A route was deleted. The kernel does not say so of the IPv4 routes that go with a link that is set down or deleted.
  case routeRemoved(Route)
  /// A neighbour was added, or its hardware address or state changed.
  case neighbourChanged(Neighbour)
  /// A neighbour was deleted.
  case neighbourRemoved(Neighbour)
  /// Changes were lost, since they came faster than they were taken: list again what matters.
  case overrun
}

extension NetlinkEvent {
  /// What a notification says; `nil` if it is about something that this module does not know.
  init?(_ message: Message) {
    let event: NetlinkEvent? =
      switch message.type {
      case .newLink: NetworkLink(message).map(NetlinkEvent.linkChanged)
      case .deleteLink: NetworkLink(message).map(NetlinkEvent.linkRemoved)
      case .newAddress: InterfaceAddress(message).map(NetlinkEvent.addressAdded)
      case .deleteAddress: InterfaceAddress(message).map(NetlinkEvent.addressRemoved)
      case .newRoute: Route(message).map(NetlinkEvent.routeChanged)
      case .deleteRoute: Route(message).map(NetlinkEvent.routeRemoved)
      case .newNeighbour: Neighbour(message).map(NetlinkEvent.neighbourChanged)
      case .deleteNeighbour: Neighbour(message).map(NetlinkEvent.neighbourRemoved)
      default: nil
      }
    guard let event else { return nil }
    self = event
  }
}
