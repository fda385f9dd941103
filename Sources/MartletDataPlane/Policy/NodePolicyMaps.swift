import BPF
import CBPF
import MartletPolicy

/// The tables that ``NodePolicy`` fills: those of policy sets, and those that say which set is asked where.
struct NodePolicyMaps {
  /// Has what is written to the tables of policy sets, endpoints and hosts take effect.
  let versions: PolicyVersions
  /// Policy sets, and the classes that packets fall into.
  let sets: PolicyMaps
  /// Map `endpoint_policies`: the sets of the pod in a slot.
  let endpointPolicies: any ArrayStorage<endpoint_policy>
  /// Map `host_endpoints`: the sets of an interface.
  let hostEndpoints: any MapStorage<UInt32, host_endpoint>
  /// Map `failsafes`: ports of the host that no policy closes.
  let failsafes: any MapStorage<failsafe_key, UInt32>
  /// Map `allowed_sources`: addresses that a pod may send from besides its own.
  let allowedSources: any MapStorage<allowed_source_key, UInt32>
  /// Map `blocked_prefixes`: senders that are not heard.
  let blockedPrefixes: any MapStorage<ip_prefix, UInt32>
}

extension NodePolicyMaps {
  /// The datapath's own.
  init(_ maps: DatapathPolicyMaps) {
    let versions = PolicyVersions(maps.version)
    self.init(
      versions: versions,
      sets: PolicyMaps(
        PolicyMaps.Unversioned(words: maps.words, headers: maps.headers, ruleNames: maps.ruleNames),
        versions, sets: maps.sets, ports: maps.ports, identities: maps.identities, prefixes: maps.prefixes,
        tuples: maps.tuples),
      endpointPolicies: VersionedArray(maps.endpointPolicies, versions),
      hostEndpoints: VersionedMap(maps.hostEndpoints, versions), failsafes: maps.failsafes,
      allowedSources: maps.allowedSources, blockedPrefixes: maps.blockedPrefixes)
  }

  /// Empty ones in this process's memory, for a node with as many pods.
  static func inMemory(podCapacity: Int) -> NodePolicyMaps {
    NodePolicyMaps(
      versions: PolicyVersions(nil), sets: .inMemory(), endpointPolicies: MemoryArray(count: podCapacity + 1),
      hostEndpoints: MemoryMap(name: "host_endpoints", capacity: 1 << 10),
      failsafes: MemoryMap(.lpmTrie, name: "failsafes", capacity: 1 << 10),
      allowedSources: MemoryMap(.lpmTrie, name: "allowed_sources", capacity: 1 << 12),
      blockedPrefixes: MemoryMap(.lpmTrie, name: "blocked_prefixes", capacity: 1 << 16))
  }
}
