import BPF
import CBPFTesting
import Glibc
import MartletNetworking

/// An interface of a namespace.
public struct Interface: Sendable {
  /// The namespace that it is in.
  public let namespace: NetworkNamespace
  /// Its name there.
  public let name: String
  /// Its index there.
  public let index: UInt32
  /// Its Ethernet address.
  public let mac: MACAddress
}

extension NetworkNamespace {
  /// Runs lines of ip(8), without the leading `ip`, in one batch: `"link add blue type bridge"`,
  /// `"-6 route add default via fe80::1 dev eth0"`. Throws ``Command/Failure`` at the first line that fails.
  public func ip(_ lines: String...) throws { try ip(lines) }

  /// Runs lines of ip(8); see ``ip(_:)-(String...)``.
  public func ip(_ lines: [String]) throws {
    var command = Command(["ip", "-batch", "-"])
    command.input = lines.map { $0 + "\n" }.joined()
    let ip = command
    try run { _ = try ip.output() }
  }

  /// Runs a command in the namespace, with ten seconds' time, and returns its output; throws ``Command/Failure`` unless
  /// it exits with 0. For anything else run a ``Command`` in ``run(in:_:)``.
  @discardableResult
  public func command(_ arguments: String...) throws -> String {
    try run { try Command(arguments).output() }
  }

  /// Sets a sysctl of the namespace: `set("net.ipv4.ip_forward", "1")`. A name with a slash in it is taken as the path
  /// below `/proc/sys`, since names of interfaces may have dots.
  public func setSysctl(_ name: String, _ value: String) throws {
    let path = name.contains("/") ? name : String(name.map { $0 == "." ? "/" : $0 })
    try run { try TextFile.write("/proc/sys/" + path, value) }
  }

  /// The interface called `name`.
  public func interface(_ name: String) throws -> Interface {
    try run {
      var index: UInt32 = 0
      var mac = [UInt8](repeating: 0, count: 6)
      // SAFETY: the call writes one word and six bytes, for which there is room.
      try check("find", "interface \(name)", bpftest_interface(name, &index, &mac))
      let bits = mac.reduce(0) { $0 << 8 | UInt64($1) }
      return Interface(namespace: self, name: name, index: index, mac: MACAddress(bits: bits))
    }
  }

  /// Adds an interface `name` that is connected, by a veth pair, to a new interface `peerName` of `peer`, and brings both
  /// up. They carry packets when the call returns.
  @discardableResult
  public func addVeth(
    _ name: String, peer: NetworkNamespace, _ peerName: String
  ) throws -> (near: Interface, far: Interface) {
    try ip("link add \(name) type veth peer name \(peerName) netns \(peer.path)", "link set \(name) up")
    try peer.ip("link set \(peerName) up")
    try settle(name)
    try peer.settle(peerName)
    return (try interface(name), try peer.interface(peerName))
  }

  /// Gives the interface called `name` an address, and waits until packets to it are accepted.
  public func addAddress(_ address: IPAddress, length: Int, to name: String) throws {
    // IPv4 knows no duplicate detection to leave out.
    try ip("addr add \(address)/\(length) dev \(name)\(address.isIPv6 ? " nodad" : "")")
    try settle(name)
  }

  /// Waits until an interface that is up is ready: it sends, and its IPv6 addresses receive.
  ///
  /// The kernel does the last steps in the background, up to a second late on a busy machine: it notices the carrier
  /// (until then what is sent is dropped without a word), and makes the routes to IPv6 addresses.
  private func settle(_ name: String) throws {
    let end = ContinuousClock.now + .seconds(10)
    while try !isSettled(name) {
      guard ContinuousClock.now < end else {
        throw BPFError(.busy, operation: "wait for", object: "interface \(name)", hint: "it is not ready after 10 s")
      }
      usleep(2000)
    }
  }

  private func isSettled(_ name: String) throws -> Bool {
    guard try command("ip", "-o", "link", "show", "dev", name).contains(" state UP ") else { return false }
    let lines = try command("ip", "-6", "-o", "addr", "show", "dev", name).split(separator: "\n")
    if lines.contains(where: { $0.contains(" tentative ") }) { return false }
    // "2: eth0    inet6 fd50::1/64 scope global nodad …", and "local fd50::1 dev eth0 …"
    let addresses = lines.compactMap { $0.split(separator: " ").dropFirst(3).first?.split(separator: "/").first }
    let routes = try command("ip", "-6", "route", "show", "table", "local", "dev", name).split(separator: " ")
    return addresses.allSatisfy { routes.contains($0) }
  }
}
