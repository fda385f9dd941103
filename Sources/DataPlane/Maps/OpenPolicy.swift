import BPF
import CBPF

/// Policy that lets every pod of this node send and receive everything, for as long as nothing else is programmed.
enum OpenPolicy {
  /// The one set that there is, and its header: no rules, and what no rule matches is allowed.
  private static let (set, header) = (1, UInt32(1))

  /// Fills the tables of policy of a datapath that has just been loaded, before any program runs.
  static func program(_ object: borrowing Object) throws(BPFError) {
    let headers = try MappedArray<policy_header>(object.mapDescriptor(named: "policy_headers"))
    let sets = try MappedArray<UInt32>(object.mapDescriptor(named: "policy_sets"))
    let endpoints = try MappedArray<endpoint_policy>(object.mapDescriptor(named: "endpoint_policies"))
    var open = policy_header()
    open.unmatched = POLICY_ALLOW.rawValue
    headers.write([open], at: Int(header))
    sets.write([header], at: set)
    let policy = endpoint_policy(ingress: UInt32(set), egress: UInt32(set))
    endpoints.write(Array(repeating: policy, count: endpoints.count - 1), at: 1)
  }
}
