import BPF
import CBPF

/// Handles to all the maps that the datapath's programs share with user space.
///
/// The names are those of `CBPF/datapath/maps.h`, the layouts those of `CBPF/include/layout`.
public final class DatapathMaps: Sendable {
  /// Confirmed flows, one entry per direction.
  public let flows: HashMap<flow_tuple, confirmed_flow>
  /// Flows whose opener has not answered the answer yet.
  public let unconfirmedFlows: LRUHashMap<flow_tuple, flow>
  /// Where services answer.
  public let frontends: SharedMap<HashMap<frontend_key, frontend>>
  /// Where services send to, in slices.
  public let backends: SharedArray<MappedArray<backend>>
  /// Maglev tables, in slices of indexes into ``backends``.
  public let maglev: SharedArray<MappedArray<UInt32>>
  /// Which clients a service admits.
  public let sourceRanges: SharedMap<LPMTrieMap<source_range_key, UInt32>>
  /// Which backend a client got last.
  public let affinity: SharedMap<LRUHashMap<affinity_key, affinity>>
  /// What UDP flows rest on no longer.
  let revocations: SharedMap<LRUHashMap<revocation_key, UInt32>>
  /// What an address is to this node.
  public let addresses: SharedMap<HashMap<ip_address, address_entry>>
  /// What a range of addresses is to this node.
  public let prefixes: SharedMap<LPMTrieMap<ip_prefix, prefix_entry>>
  /// The other nodes of the cluster, by number.
  public let nodes: ArrayMap<node>
  /// The pods of this node, by slot.
  public let endpoints: ArrayMap<endpoint>
  /// Packets by hook and by reason for a drop.
  public let counters: PerCPUArrayMap<counter_value>
  /// What changes while the programs run.
  public let settings: ArrayMap<settings>
  /// The names of service ports, for tools.
  public let serviceNames: HashMap<UInt32, service_name>

  /// The maps that outlive the agent. The others are scratch memory of one load.
  static let pinned = [
    "flows", "unconfirmed_flows", "expiries", "fragments", "frontends", "backends", "maglev", "source_ranges",
    "affinity", "revocations", "addresses", "prefixes", "nodes", "network_namespaces", "endpoints", "counters",
    "settings", "service_names",
  ]

  /// Takes each map from `descriptor(name)`.
  init(_ descriptor: (String) throws(BPFError) -> FileDescriptor) throws(BPFError) {
    flows = try HashMap(descriptor("flows"))
    unconfirmedFlows = try LRUHashMap(descriptor("unconfirmed_flows"))
    frontends = SharedMap(try HashMap(descriptor("frontends")))
    backends = SharedArray(try MappedArray(descriptor("backends")))
    maglev = SharedArray(try MappedArray(descriptor("maglev")))
    sourceRanges = SharedMap(try LPMTrieMap(descriptor("source_ranges")))
    affinity = SharedMap(try LRUHashMap(descriptor("affinity")))
    revocations = SharedMap(try LRUHashMap(descriptor("revocations")))
    addresses = SharedMap(try HashMap(descriptor("addresses")))
    prefixes = SharedMap(try LPMTrieMap(descriptor("prefixes")))
    nodes = try ArrayMap(descriptor("nodes"))
    endpoints = try ArrayMap(descriptor("endpoints"))
    counters = try PerCPUArrayMap(descriptor("counters"))
    settings = try ArrayMap(descriptor("settings"))
    serviceNames = try HashMap(descriptor("service_names"))
  }

  /// The maps of an object that has just been loaded.
  convenience init(of object: borrowing Object) throws(BPFError) {
    let descriptors = try Self.descriptors(of: object)
    try self.init { name throws(BPFError) in try Self.descriptor(of: name, among: descriptors) }
  }

  /// The descriptors of an object's maps: a borrowed value cannot be captured.
  static func descriptors(of object: borrowing Object) throws(BPFError) -> [String: Box] {
    var descriptors: [String: Box] = [:]
    for name in object.mapNames { descriptors[name] = Box(try object.mapDescriptor(named: name)) }
    return descriptors
  }

  /// One of `descriptors`, for whoever asks to keep.
  static func descriptor(of name: String, among descriptors: [String: Box]) throws(BPFError) -> FileDescriptor {
    guard let box = descriptors[name] else {
      throw BPFError(.notFound, operation: "find", object: "map \(name) of the datapath")
    }
    return try box.descriptor.duplicate()
  }

  /// The maps that a data plane has pinned under `pins`, whether or not its agent runs. For inspection.
  public convenience init(pinnedUnder pins: PinFolder) throws(BPFError) {
    try self.init { name throws(BPFError) in
      try RawMap(pinned: pins.map(name)).descriptor.duplicate()
    }
  }

  /// A descriptor that a dictionary can hold.
  final class Box {
    fileprivate let descriptor: FileDescriptor
    fileprivate init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
  }
}
