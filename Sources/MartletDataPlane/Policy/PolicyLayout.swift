import CBPF
import MartletModel
import MartletNetworking
import TableSupport

extension endpoint_policy: @retroactive Equatable {
  /// Whether both sets are the same.
  public static func == (left: endpoint_policy, right: endpoint_policy) -> Bool {
    left.ingress == right.ingress && left.egress == right.egress
  }
}

extension host_endpoint: @retroactive Equatable {
  /// Whether all sets are the same.
  public static func == (left: host_endpoint, right: host_endpoint) -> Bool {
    left.ingress == right.ingress && left.egress == right.egress && left.forward_ingress == right.forward_ingress
      && left.forward_egress == right.forward_egress && left.before_nat == right.before_nat
      && left.untracked_ingress == right.untracked_ingress && left.untracked_egress == right.untracked_egress
      && left.present == right.present
  }
}

extension failsafe_key {
  /// The key that leaves `port` open.
  init(_ port: FailsafePort, egress: Bool) {
    self.init()
    self.egress = egress ? 1 : 0
    `protocol` = port.protocol.rawValue
    self.port = port.port.bigEndian
    length = 32 + UInt32(port.prefix.map(\.mappedLength) ?? 0)
    if let prefix = port.prefix { address = ip_prefix(prefix).address }
  }
}

extension allowed_source_key {
  /// The key that lets the pod in `slot` send from `prefix`.
  init(slot: UInt32, prefix: IPPrefix) {
    let key = ip_prefix(prefix)
    self.init(length: 32 + key.length, endpoint: slot.bigEndian, address: key.address)
  }
}
