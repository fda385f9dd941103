import Foundation
import MartletDataPlane
import MartletModel
import MartletNetworking

/// A node, its pods and a client outside, each in a network namespace of its own, with the addresses of the manifests.
///
///     client ──── node ──┬── pod
///       eth0      eth0   ├── pod
///                        └── pod
///
/// Pods are routed as CNI plugins of the routed kind do: an address of full length, and gateways `169.254.1.1` and
/// `fe80::1` that the node answers for by a static neighbour entry.
final class DemoCluster {
  /// A namespace and the address of each family that one has there.
  struct Host {
    let name: String
    let namespace: String
    let addresses: [IPAddress]

    func address(_ family: AddressFamily) throws -> IPAddress {
      guard let address = addresses.first(where: { $0.family == family }) else {
        throw DemoFailure("\(name) has no \(family) address: give it one in the manifests")
      }
      return address
    }
  }

  let node: Host
  let client: Host
  let pods: [Host]
  let pins: PinFolder

  private let prefix: String
  private var services: [DemoService] = []

  /// What is named after this has been made by a demo; a number follows, its process.
  private static let namePrefix = "martlet-demo-"
  private static let pinParent = "/sys/fs/bpf"

  /// Nothing exists yet.
  init(node: Node, workloads: [Workload]) {
    let prefix = "\(Self.namePrefix)\(getpid())"
    self.prefix = prefix
    self.node = Host(name: node.name, namespace: "\(prefix)-node", addresses: node.addresses.map(\.address))
    // The client is the node's neighbour: same network, host 100.
    let neighbours = [IPAddress(192, 0, 2, 100), IPAddress("2001:db8::100")].compactMap { $0 }
    client = Host(name: "client", namespace: "\(prefix)-client", addresses: neighbours)
    pods = workloads.enumerated().map {
      Host(name: $1.name.name, namespace: "\(prefix)-pod\($0)", addresses: $1.addresses)
    }
    pins = PinFolder(root: "\(Self.pinParent)/\(prefix)")
  }

  // MARK: - Building

  /// Makes namespaces, links and routes, and starts the pods' servers.
  func build(externalAddresses: [IPAddress], port: UInt16, checkpoint: () throws -> Void) throws {
    for host in [node, client] + pods {
      try checkpoint()
      try DemoTool.run(["ip", "netns", "add", host.namespace])
      try sysctl(host, "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
      try ip(host, "link set lo up")
    }
    try sysctl(node, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    try connectClient(externalAddresses)
    for (index, pod) in pods.enumerated() {
      try checkpoint()
      try connect(pod, by: "pod\(index)")
      services.append(try DemoService(["demo-pod", "--name", pod.name, "--port", "\(port)"], in: pod.namespace))
    }
  }

  private func connectClient(_ externalAddresses: [IPAddress]) throws {
    try ip(node, "link add eth0 type veth peer name eth0 netns \(client.namespace)", "link set eth0 up")
    try ip(client, "link set eth0 up")
    for host in [node, client] {
      for address in host.addresses {
        let suffix = address.isIPv4 ? "/24 dev eth0" : "/64 dev eth0 nodad"
        try ip(host, "addr add \(address)\(suffix)")
      }
    }
    for address in externalAddresses {
      try ip(client, "route add \(address) via \(try node.address(address.family))")
    }
    for address in client.addresses { try ip(node, "route add default via \(address)") }
  }

  private func connect(_ pod: Host, by link: String) throws {
    try ip(node, "link add \(link) type veth peer name eth0 netns \(pod.namespace)", "link set \(link) up")
    try ip(pod, "link set eth0 up")
    let mac = try nodeSideAddress(of: link)
    try ip(
      pod, "route add 169.254.1.1 dev eth0 scope link", "neigh add 169.254.1.1 lladdr \(mac) dev eth0 nud permanent",
      "neigh add fe80::1 lladdr \(mac) dev eth0 nud permanent")
    try ip(node, "addr add fe80::1/64 dev \(link) nodad")
    for address in pod.addresses {
      try ip(pod, "addr add \(address) dev eth0\(address.isIPv4 ? "" : " nodad")")
      try ip(pod, "route add default via \(address.isIPv4 ? "169.254.1.1" : "fe80::1") dev eth0")
      try ip(node, "route add \(address) dev \(link)")
    }
  }

  private func nodeSideAddress(of link: String) throws -> MACAddress {
    let words = try DemoTool.run(["ip", "-n", node.namespace, "-o", "link", "show", link]).split(separator: " ")
    guard let place = words.firstIndex(of: "link/ether"), words.indices.contains(place + 1),
      let mac = MACAddress(String(words[place + 1]))
    else { throw DemoFailure("interface \(link): ip(8) shows no Ethernet address") }
    return mac
  }

  private func ip(_ host: Host, _ lines: String...) throws {
    try DemoTool.run(
      ["ip", "-n", host.namespace, "-batch", "-"], input: lines.map { $0 + "\n" }.joined())
  }

  private func sysctl(_ host: Host, _ settings: String...) throws { try run(["sysctl", "-qw"] + settings, on: host) }

  // MARK: - Using

  /// Runs a command in the namespace of `host`.
  @discardableResult
  func run(_ arguments: [String], on host: Host, input: String = "") throws -> String {
    try DemoTool.run(["nsenter", "--net=/run/netns/\(host.namespace)"] + arguments, input: input)
  }

  /// Starts the agent on the node, with the manifests that the demo itself has read.
  func startAgent(manifests: String) throws -> DemoService {
    let agent = try DemoService(
      [
        "agent", "--node", node.name, "--manifests", manifests, "--pin-root", pins.root, "--log-level", "warning",
      ], in: node.namespace)
    services.append(agent)
    return agent
  }

  // MARK: - Removing

  /// Removes what a stopped agent has left in the kernel, so that packets go as if there had never been one.
  func removeDataPlane() throws { try BPFDataPlane.clean(pins) }

  /// Removes everything that there is of the cluster; whatever is missing does not matter.
  func remove() {
    for service in services { service.stop() }
    services = []
    Self.remove(prefix)
  }

  /// Removes what demos have left that were killed.
  static func removeAbandoned() {
    let pinned = (try? FileManager.default.contentsOfDirectory(atPath: pinParent)) ?? []
    let names = namespaces + pinned
    let prefixes = Set(names.compactMap(processPrefix))
    for prefix in prefixes {
      guard let process = Int32(prefix.dropFirst(namePrefix.count)), kill(process, 0) != 0 else { continue }
      remove(prefix)
    }
  }

  private static var namespaces: [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: "/run/netns")) ?? []
  }

  /// `martlet-demo-17` of `martlet-demo-17-client`.
  private static func processPrefix(_ name: String) -> String? {
    guard name.hasPrefix(namePrefix) else { return nil }
    return namePrefix + name.dropFirst(namePrefix.count).prefix(while: \.isNumber)
  }

  private static func remove(_ prefix: String) {
    for namespace in namespaces where processPrefix(namespace) == prefix {
      let members = (try? DemoTool.run(["ip", "netns", "pids", namespace])) ?? ""
      for process in members.split(separator: "\n").compactMap({ Int32($0) }) { kill(process, SIGKILL) }
      _ = try? DemoTool.run(["ip", "netns", "delete", namespace])
    }
    let pins = PinFolder(root: "\(pinParent)/\(prefix)")
    if FileManager.default.fileExists(atPath: pins.root) { _ = try? BPFDataPlane.clean(pins) }
  }
}
