import BPF
import BPFPrograms
import CBPF
import Glibc

/// Connect-time balancing: processes of this node that connect or send to a service are given a backend there and then,
/// and none of their packets needs translation.
///
/// ```swift
/// let sockets = try SocketBalancing(
///   sharing: { name in try RawMap(pinned: "\(maps)/\(name)").descriptor.duplicate() },
///   cgroup: "/sys/fs/cgroup", pinFolder: "/sys/fs/bpf/martlet/sockets")
/// try sockets.leaveAlone([eth0])
/// ```
///
/// ## What a process sees
///
/// TCP connections and the datagrams of unconnected UDP sockets go straight to a backend, while `getpeername` and
/// `recvmsg` keep speaking of the service. A service without endpoints, and an unused port of a cluster IP, are refused
/// with `ECONNREFUSED`. Both families take the same path, and so do IPv4 addresses of IPv6 sockets.
///
/// Session affinity is by network namespace, since a socket has no address before it is connected: all processes of a
/// pod share a backend, and those of the node's own namespace share one.
///
/// ## What is left alone
///
/// The packet path serves, with the same result, what these hooks do not touch:
///
/// - connected UDP sockets, which would be stuck when their backend goes;
/// - clients of a service with source ranges, whose address is not known yet;
/// - what would be dropped, since a socket cannot be kept waiting;
/// - pods whose interface is in ``leaveAlone(_:)``, from their first socket on;
/// - a pod until its first packet, which is what tells whose its namespace is;
/// - processes whose namespace is neither the node's nor a pod's, for whom the addresses may mean something else.
///
/// Pods in the node's own namespace cannot opt out one by one. A node port is reached at the node's addresses, not at
/// `127.0.0.1`.
///
/// ## Lifetime
///
/// All is pinned: balancing goes on when this object or its process goes. Another object with the same pins takes over in
/// place, one hook after the other, without a moment in which a socket is not balanced or a reply not turned back.
///
/// The corresponding programs are in `CBPF/datapath/cgroup.bpf.c`. Needs Linux 5.14; leaving pods alone needs Linux 6.15,
/// see ``namespaceProbe``.
public final class SocketBalancing: Sendable {
  private let optOuts: HashMap<UInt32, UInt32>

  /// Whether packets tell which namespace they come from. If not, all sockets below the cgroup are balanced; the packet
  /// programs' constant `namespaces_known` must be 0 then.
  public static let namespaceProbe = Probe.helper(
    UInt32(BPF_FUNC_get_netns_cookie.rawValue), name: "bpf_get_netns_cookie", in: .schedClassifier,
    since: KernelVersion(6, 15))

  /// What outlives the agent besides the links: running sockets would notice its loss.
  private static let ownMaps = ["stream_peers", "datagram_peers", "socket_opt_outs"]

  /// Starts balancing the sockets below a cgroup, or takes over from a former object with the same pins. Call it in the
  /// node's own network namespace.
  ///
  /// On failure nothing stays attached: the packet path serves alone.
  ///
  /// Throws ``BPF/BPFError/Kind-swift.struct/invalid`` if `cgroup` is none, and
  /// ``BPF/BPFError/Kind-swift.struct/layout`` if a map is not what the programs expect.
  ///
  /// - Parameters:
  ///   - map: gives the packet programs' map of a name, as `CBPF/datapath/shared_maps.h` and `socket_namespace.h` have it.
  ///   - cgroup: the folder of a version 2 cgroup; its root for all processes.
  ///   - pinFolder: a folder in a bpf file system for nobody else's use.
  public init(
    sharing map: (String) throws(BPFError) -> FileDescriptor, cgroup: String, pinFolder: String
  ) throws(BPFError) {
    do throws(BPFError) {
      let links = try SocketLinks(cgroup: cgroup, pinFolder: pinFolder)
      let object = try Self.load(sharing: map, pinFolder: pinFolder)
      optOuts = try HashMap(object.mapDescriptor(named: "socket_opt_outs"))
      try links.attach(object)
    } catch {
      _ = try? Self.remove(pinFolder: pinFolder)
      throw error
    }
  }

  private static func load(
    sharing map: (String) throws(BPFError) -> FileDescriptor, pinFolder: String
  ) throws(BPFError) -> Object {
    let opening = try OpenObject(hexadecimal: BPFPrograms.cgroup, name: "cgroup")
    for name in opening.mapNames where !name.hasPrefix(".") {
      if ownMaps.contains(name) {
        try opening.pin(map: name, at: "\(pinFolder)/\(name)")
      } else {
        let descriptor = try map(name)
        // Whoever created the map chose its size.
        try opening.resize(map: name, to: UInt32(MapInfo(of: descriptor).maxEntries))
        try opening.reuse(map: name, descriptor: descriptor)
      }
    }
    try opening.setConstant("node_namespace", to: NetworkNamespaceCookie.current())
    if case .unavailable = namespaceProbe.result { try opening.setConstant("namespaces_known", to: UInt32(0)) }
    return try opening.load()
  }

  /// Leaves the sockets of exactly the pods behind `interfaces` to the packet path. Connections that have a backend keep
  /// it.
  ///
  /// - Parameter interfaces: indexes of the pods' interfaces on the node's side.
  public func leaveAlone(_ interfaces: Set<UInt32>) throws(BPFError) {
    var stale: [UInt32] = []
    try optOuts.forEach { interface, _ throws(BPFError) in
      if !interfaces.contains(interface) { stale.append(interface) }
    }
    for interface in interfaces { try optOuts.set(interface, 1) }
    for interface in stale { try optOuts.remove(interface) }
  }

  /// Ends what an object with these pins has begun, and removes the pins. Connections go on; a datagram that is under way
  /// may arrive from its backend's address.
  ///
  /// - Returns: how many pins there were.
  @discardableResult
  public static func remove(pinFolder: String) throws(BPFError) -> Int {
    var count = try SocketLinks.remove(pinFolder: pinFolder)
    for name in ownMaps where access("\(pinFolder)/\(name)", F_OK) == 0 {
      try BPFFileSystem.unpin("\(pinFolder)/\(name)")
      count += 1
    }
    return count
  }
}
