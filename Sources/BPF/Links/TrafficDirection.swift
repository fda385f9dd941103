/// Which way a packet goes through an interface, as the host that owns the interface sees it.
public enum TrafficDirection: String, CaseIterable, Hashable, Sendable {
  /// Into the host: received by the interface.
  case ingress
  /// Out of the host: sent through the interface.
  case egress
}
