import BPF
import CBPF
import MartletModel
import MartletPolicy
import Netlink
import TableSupport

/// What tools call pods, host endpoints and policy sets: maps `pod_names`, `host_endpoint_names` and `policies`.
///
/// New with every start, as the tables are that they are about.
final class PolicyNames: Sendable {
  /// Pods by slot.
  let pods: SharedMap<HashMap<UInt32, pod_name>>
  /// Host endpoints by interface.
  let hostEndpoints: SharedMap<HashMap<UInt32, host_endpoint_name>>
  /// The policies of each set.
  let policies: SharedMap<HashMap<policy_position, rule_name>>

  /// Empty ones.
  init() throws(BPFError) {
    let options = MapOptions.allocatingOnDemand
    pods = SharedMap(try HashMap(name: "pod_names", capacity: 1 << 16, options: options))
    hostEndpoints = SharedMap(try HashMap(name: "host_ep_names", capacity: 1 << 16, options: options))
    policies = SharedMap(try HashMap(name: "policies", capacity: 1 << 17, options: options))
  }

  /// Those that a data plane has pinned under `pins`.
  init(pinnedUnder pins: PinFolder) throws(BPFError) {
    pods = SharedMap(try HashMap(pinned: pins.map("pod_names")))
    hostEndpoints = SharedMap(try HashMap(pinned: pins.map("host_endpoint_names")))
    policies = SharedMap(try HashMap(pinned: pins.map("policies")))
  }

  /// Pins them under `pins`, in place of those of a former agent.
  func pin(under pins: PinFolder) throws(BPFError) {
    try pins.replace(pods.base, as: "pod_names")
    try pins.replace(hostEndpoints.base, as: "host_endpoint_names")
    try pins.replace(policies.base, as: "policies")
  }
}

/// Keeps ``PolicyNames`` in step with what they are about.
final class PolicyNameWriter {
  private let names: PolicyNames
  private let pods: MirroredMap<UInt32, NamespacedName, UInt32, pod_name>
  private let hostEndpoints: MirroredMap<InterfaceIndex, String, UInt32, host_endpoint_name>
  /// How many policies each set has in the map.
  private var counts: [UInt32: Int] = [:]

  /// A writer of `names`, which are empty.
  init(_ names: PolicyNames) {
    self.names = names
    pods = MirroredMap(names.pods, key: \.self) { pod_name($0) }
    hostEndpoints = MirroredMap(names.hostEndpoints, key: \.rawValue) { host_endpoint_name($0) }
  }

  /// Says which pod has which slot.
  func set(slots: [NamespacedName: UInt32]) throws(BPFError) {
    try pods.replace(with: Dictionary(slots.map { ($0.value, $0.key) }, uniquingKeysWith: { $1 }))
  }

  /// Says which host endpoint protects which interface.
  func set(hostEndpoints placement: [InterfaceIndex: String]) throws(BPFError) {
    try hostEndpoints.replace(with: placement)
  }

  /// Says which policies `sets` are made of.
  func set(policiesOf sets: Set<UInt32>, in table: PolicyTable) throws(BPFError) {
    for set in sets {
      let policies = table.policies(of: set).map {
        RuleName(.policy($0.name, tier: $0.tier), .ingress, 0).entry(action: 0)
      }
      let positions = (0..<max(policies.count, counts[set] ?? 0)).map {
        policy_position(set: set, index: UInt32($0))
      }
      if !policies.isEmpty {
        try names.policies.update(keys: Array(positions.prefix(policies.count)), values: policies, mode: .set)
      }
      let stale = positions.dropFirst(policies.count)
      if !stale.isEmpty { try names.policies.remove(keys: Array(stale)) }
      counts[set] = policies.isEmpty ? nil : policies.count
    }
  }
}

extension pod_name {
  fileprivate init(_ pod: NamespacedName) {
    self.init()
    LayoutText.write(pod.namespace, into: &namespace_name)
    LayoutText.write(pod.name, into: &name)
  }

  /// The pod.
  var namespacedName: NamespacedName {
    NamespacedName(namespace: LayoutText.read(namespace_name), name: LayoutText.read(name))
  }
}

extension host_endpoint_name {
  fileprivate init(_ text: String) {
    self.init()
    LayoutText.write(text, into: &name)
  }

  /// The name as text.
  var text: String { LayoutText.read(name) }
}
