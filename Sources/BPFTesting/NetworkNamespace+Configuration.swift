import BPF
import CBPFTesting
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
  /// up.
  @discardableResult
  public func addVeth(
    _ name: String, peer: NetworkNamespace, _ peerName: String
  ) throws -> (near: Interface, far: Interface) {
    try ip("link add \(name) type veth peer name \(peerName) netns \(peer.path)", "link set \(name) up")
    try peer.ip("link set \(peerName) up")
    return (try interface(name), try peer.interface(peerName))
  }
}
