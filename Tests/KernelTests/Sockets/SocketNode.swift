import BPF
import BPFPrograms
import BPFTesting
import CBPF
import MartletDataPlane
import MartletNetworking
import MartletServices

/// A node with pods, of which each has both families and the datapath at its interface. Services are written into the
/// maps as a test says. The interface to the network has no program at first: what the node's own processes reach at a
/// service's address they reach by their sockets. (A node port is at the node's own address, and the loopback interface
/// has its program.)
final class SocketNode {
  struct Pod {
    let namespace: NetworkNamespace
    let v4: IPAddress
    let v6: IPAddress
    /// On the node's side.
    let interface: UInt32

    func address(_ family: SocketFamily) -> IPAddress { family == .ipv4 ? v4 : v6 }
  }

  let namespace: NetworkNamespace
  /// What the node is connected to: one neighbour, and nobody else who answers.
  let network: NetworkNamespace
  let neighbour4 = IPAddress(192, 0, 2, 9)
  let neighbour6 = IPAddress("2001:db8::9") ?? .unspecified(.ipv6)
  let cgroup: TemporaryCgroup
  let pins: TemporaryBPFFilesystem
  let v4 = IPAddress(192, 0, 2, 1)
  let v6 = IPAddress("2001:db8::1") ?? .unspecified(.ipv6)
  func address(_ family: SocketFamily) -> IPAddress { family == .ipv4 ? v4 : v6 }

  private(set) var pods: [Pod] = []
  private(set) var sockets: SocketBalancing?

  private let frontends: HashMap<frontend_key, frontend>
  private let affinity: LRUHashMap<affinity_key, affinity>
  private let backends: MappedArray<backend>
  private let addresses: HashMap<ip_address, address_entry>
  private let sourceRanges: LPMTrieMap<source_range_key, UInt32>
  private let revocations: LRUHashMap<revocation_key, UInt32>
  private let settings: ArrayMap<settings>
  private let counters: PerCPUArrayMap<counter_value>
  private let object: Object
  private var links: [LinkBox] = []
  private var nextBackend = 0

  /// Links cannot be in an array themselves.
  private final class LinkBox {
    let link: Link
    init(_ link: consuming Link) { self.link = link }
  }

  init(pods count: Int = 3) throws {
    namespace = try NetworkNamespace()
    network = try NetworkNamespace()
    cgroup = try TemporaryCgroup()
    pins = try TemporaryBPFFilesystem()
    object = try OpenObject(hexadecimal: BPFPrograms.tc, name: "tc").load()
    try PolicyTables.open(object)
    frontends = try HashMap(object.mapDescriptor(named: "frontends"))
    affinity = try LRUHashMap(object.mapDescriptor(named: "affinity"))
    backends = try MappedArray(object.mapDescriptor(named: "backends"))
    addresses = try HashMap(object.mapDescriptor(named: "addresses"))
    sourceRanges = try LPMTrieMap(object.mapDescriptor(named: "source_ranges"))
    counters = try PerCPUArrayMap(object.mapDescriptor(named: "counters"))
    revocations = try LRUHashMap(object.mapDescriptor(named: "revocations"))
    settings = try ArrayMap(object.mapDescriptor(named: "settings"))
    try namespace.addVeth("net0", peer: network, "node")
    try namespace.ip(
      "addr add \(v4)/24 dev net0", "addr add \(v6)/64 dev net0 nodad",
      // A service's address without a frontend goes nowhere.
      "route add default dev net0", "route add ::/0 dev net0")
    try network.ip("addr add \(neighbour4)/24 dev node", "addr add \(neighbour6)/64 dev node nodad")
    try attach("to_host", .egress, 1)
    for sysctl in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] { try namespace.setSysctl(sysctl, "1") }
    for address in [v4, v6] {
      try addresses.set(ip_address(address), address_entry(kind: ADDRESS_THIS_NODE.rawValue, index: 0))
    }
    var current = CBPF.settings()
    (current.node4, current.node6) = (ip_address(v4), ip_address(v6))
    try settings.set(0, current)
    for number in 1...count { try plugIn(number) }
  }

  private func plugIn(_ number: Int) throws {
    let pod = try NetworkNamespace()
    let (near, _) = try namespace.addVeth("pod\(number)", peer: pod, "eth0")
    let v4 = IPAddress(10, 77, 0, UInt8(number))
    let v6 = IPAddress("fd77::\(number)") ?? .unspecified(.ipv6)
    try pod.ip(
      "addr add \(v4)/32 dev eth0", "addr add \(v6)/128 dev eth0 nodad",
      "route add 169.254.1.1 dev eth0 scope link", "route add default via 169.254.1.1 dev eth0",
      "neigh add 169.254.1.1 lladdr \(near.mac) dev eth0 nud permanent",
      "neigh add fe80::1 lladdr \(near.mac) dev eth0 nud permanent", "route add ::/0 via fe80::1 dev eth0")
    try namespace.ip(
      // Neighbour discovery needs an address at once, not when no duplicate has been found.
      "addr add fe80::1/64 dev pod\(number) nodad", "route add \(v4)/32 dev pod\(number)",
      "route add \(v6)/128 dev pod\(number)")
    let endpoints = try ArrayMap<endpoint>(object.mapDescriptor(named: "endpoints"))
    var entry = endpoint()
    (entry.ifindex, entry.mtu) = (near.index, 1500)
    try endpoints.set(UInt32(number), entry)
    for address in [v4, v6] {
      try addresses.set(
        ip_address(address), address_entry(kind: ADDRESS_LOCAL_POD.rawValue, index: UInt32(number)))
    }
    try attach("from_pod", .ingress, near.index)
    try attach("to_pod", .egress, near.index)
    pods.append(Pod(namespace: pod, v4: v4, v6: v6, interface: near.index))
  }

  private func attach(_ name: String, _ direction: TrafficDirection, _ interface: UInt32) throws {
    let program = try object.program(named: name)
    links.append(LinkBox(try namespace.run { try program.attach(to: .tcx(direction, interface: interface)) }))
  }

  /// Gives the interface to the network its programs.
  func attachNetwork() throws {
    let interface = try namespace.interface("net0").index
    try attach("from_net", .ingress, interface)
    try attach("to_net", .egress, interface)
  }

  /// Begins to balance sockets, or takes over.
  func balance() throws {
    let names = [
      "frontends", "backends", "maglev", "source_ranges", "affinity", "addresses", "counters", "network_namespaces",
      "revocations", "settings",
    ]
    var maps: [String: RawMapBox] = [:]
    for name in names { maps[name] = RawMapBox(try RawMap(object.mapDescriptor(named: name))) }
    let (found, cgroup, folder) = (maps, cgroup.path, pins.path)
    sockets = try namespace.run {
      try SocketBalancing(
        sharing: { (name: String) throws(BPFError) in
          guard let map = found[name] else { throw BPFError(.notFound, operation: "find", object: "map \(name)") }
          return try map.raw.duplicate().descriptor.duplicate()
        }, cgroup: cgroup, pinFolder: folder)
    }
  }

  private final class RawMapBox: Sendable {
    let raw: RawMap
    init(_ raw: consuming RawMap) { self.raw = raw }
  }

  // MARK: - Services

  /// Makes `address` a service of `backends`; of none, if there are none.
  func publish(
    _ address: SocketAddress, _ kind: TestSocket.Kind, to targets: [SocketAddress], service: UInt32 = 1,
    flags: UInt32 = 0, affinity timeout: UInt32 = 0
  ) throws {
    let sorted = targets.sorted { ($0.address, $0.port) < ($1.address, $1.port) }
    backends.write(sorted.map(layout), at: nextBackend)
    var entry = frontend()
    (entry.service, entry.flags, entry.affinity_timeout) = (service, flags, timeout)
    entry.cluster = backend_slice(offset: UInt32(nextBackend), count: UInt32(sorted.count))
    nextBackend += sorted.count
    try frontends.set(Self.key(address, kind), entry)
  }

  /// Says that a backend of `service` serves no longer.
  func revoke(_ target: SocketAddress, of service: UInt32 = 1) throws {
    var current = try settings.get(0) ?? CBPF.settings()
    current.service_generation += 1
    var key = revocation_key()
    (key.service, key.address, key.port) = (service, ip_address(target.address), target.port.bigEndian)
    try revocations.set(key, current.service_generation)
    try settings.set(0, current)
  }

  private func layout(_ target: SocketAddress) -> backend {
    var entry = backend()
    (entry.address, entry.port) = (ip_address(target.address), target.port.bigEndian)
    let isRemote = [neighbour4, neighbour6].contains(target.address)
    if !isRemote { entry.flags = UInt16(BACKEND_LOCAL.rawValue) }
    return entry
  }

  private static func key(_ address: SocketAddress, _ kind: TestSocket.Kind) -> frontend_key {
    var key = frontend_key()
    key.address = ip_address(address.address)
    key.port = address.port.bigEndian
    key.protocol = kind == .stream ? L4Protocol.tcp.rawValue : L4Protocol.udp.rawValue
    return key
  }

  /// Makes `address` a cluster IP.
  func allocate(_ address: IPAddress) throws {
    try addresses.set(ip_address(address), address_entry(kind: ADDRESS_SERVICE.rawValue, index: 0))
  }

  /// Admits clients of `prefix` to `service`.
  func admit(_ prefix: IPPrefix, to service: UInt32) throws {
    try sourceRanges.set(source_range_key(service: service, prefix: prefix), prefix.family == .ipv4 ? 4 : 6)
  }

  /// Whom session affinity remembers.
  func affinityClients() throws -> [IPAddress] {
    var clients: [IPAddress] = []
    try affinity.forEach { key, _ in clients.append(IPAddress(key.client)) }
    return clients
  }

  /// How many connections and datagrams got their backend at the socket.
  func balanced() throws -> UInt64 {
    let values = try counters.get(COUNTER_SOCKETS_BALANCED.rawValue)
    return values.map { $0.reduce(0) { $0 + $1.packets } } ?? 0
  }

  // MARK: - Sockets

  /// Whose process a client is.
  enum Client: CaseIterable { case node, pod }

  /// A socket of a process on the node, or in a pod, below the cgroup.
  func socket(_ kind: TestSocket.Kind, _ family: SocketFamily, of client: Client) throws -> TestSocket {
    try socket(kind, family, in: client == .node ? namespace : pods[0].namespace)
  }

  func socket(
    _ kind: TestSocket.Kind, _ family: SocketFamily, in namespace: NetworkNamespace
  ) throws -> TestSocket {
    try namespace.run(in: cgroup) { try TestSocket(kind, family) }
  }

  /// A server that listens in a pod, at all its addresses.
  func server(_ kind: TestSocket.Kind, in pod: Int, port: UInt16 = 8080) throws -> TestSocket {
    try server(kind, in: pods[pod].namespace, port: port)
  }

  func server(_ kind: TestSocket.Kind, in namespace: NetworkNamespace, port: UInt16 = 8080) throws -> TestSocket {
    let server = try socket(kind, .ipv6, in: namespace)
    try server.bind(SocketAddress(.unspecified(.ipv6), port))
    if kind == .stream { try server.listen() }
    return server
  }

  /// Lets every pod send something, as pods do before they have anything to ask of a service: addresses are resolved first.
  func introducePods() throws {
    for pod in pods {
      try socket(.datagram, .ipv4, in: pod.namespace).send("hello", to: SocketAddress(v4, 9))
    }
  }
}
